// Command kept-agent reports this host to a Kept server.
package main

func main() {}
