package ui

import "net/http"

// Error writes the page for a status: what happened in one sentence, the
// request id to name when asking for help, and what to do next. Empty fields
// get a default that fits the status. htmx gets the same as a fragment, which
// the toast region shows.
func (u *UI) Error(w http.ResponseWriter, r *http.Request, v ErrorView) error {
	if v.Status == 0 {
		v.Status = http.StatusInternalServerError
	}
	title, text := errorTexts(v.Status)
	if v.Title == "" {
		v.Title = title
	}
	if v.Text == "" {
		v.Text = text
	}
	if v.Href == "" {
		v.Href, v.Link = "/", "Go to the start page"
	}
	if r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Request-Type") == "partial" {
		// A part of a page failed: leave the part as it is and say so.
		w.Header().Set("HX-Reswap", "none")
		SendToast(w, Toast{Tone: ToneBad, Text: v.Title + ". " + v.Text})
		t, err := u.own.page("error")
		if err != nil {
			return err
		}
		return u.own.write(w, t, v.Status, "ui.error", v)
	}
	return u.own.Render(w, r, v.Status, "error", Page{Title: v.Title, Shape: ShapeCenter, NoHead: true, Body: v})
}

func errorTexts(status int) (title, text string) {
	switch status {
	case http.StatusBadRequest:
		return "The request could not be read", "Something in it was malformed. Go back, check what you entered and try again."
	case http.StatusUnauthorized:
		return "Please sign in", "You will come back to this page afterwards."
	case http.StatusForbidden:
		return "You may not do this", "An owner of the workspace can give you the right to."
	case http.StatusNotFound:
		return "There is nothing here", "The address may be mistyped, or what was here has been deleted."
	case http.StatusMethodNotAllowed:
		return "This cannot be done here", "The address exists, but not for this kind of request."
	case http.StatusConflict:
		return "Something changed meanwhile", "Look at the current state and try again."
	case http.StatusRequestEntityTooLarge:
		return "This is too large", "Send less at once."
	case http.StatusUnprocessableEntity:
		return "Something is missing or wrong", "Go back, check what you entered and try again."
	case http.StatusTooManyRequests:
		return "Too many requests", "Wait a moment and try again."
	case http.StatusServiceUnavailable:
		return "Not available right now", "Try again in a moment."
	}
	return "Something went wrong on our side", "It has been logged. Try again; if it stays, tell the operator the request id."
}
