package httpx

// Info is the head of the OpenAPI document.
type Info struct {
	Title, Version, Description string
}
