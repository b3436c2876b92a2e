package ui

import (
	"fmt"
	"html/template"
	"slices"
)

// icons are drawn on a 16 × 16 grid with a stroke of 1.5.
var icons = map[string]string{
	"alert":     `<path d="M8 2.5 14.2 13H1.8L8 2.5Z"/><path d="M8 6.7v2.8M8 11.4v.1"/>`,
	"arrow":     `<path d="M3 8h10M9.2 4.2 13 8l-3.8 3.8"/>`,
	"back":      `<path d="M13 8H3M6.8 4.2 3 8l3.8 3.8"/>`,
	"bell":      `<path d="M4.2 6.8a3.8 3.8 0 0 1 7.6 0c0 3.2 1.4 4.2 1.4 4.2H2.8s1.4-1 1.4-4.2ZM6.7 13.4c.7.6 1.9.6 2.6 0"/>`,
	"briefcase": `<rect x="2" y="5" width="12" height="8.5" rx="1.5"/><path d="M5.8 5V3.5c0-.6.4-1 1-1h2.4c.6 0 1 .4 1 1V5M2 9h12"/>`,
	"chart":     `<path d="M2.5 2.5v11h11"/><path d="m5 10 2.6-3.2 2.2 1.8L13 4.8"/>`,
	"check":     `<path d="m3 8.5 3.2 3.2L13 4.8"/>`,
	"chevron":   `<path d="m4.5 6.2 3.5 3.6 3.5-3.6"/>`,
	"clock":     `<circle cx="8" cy="8" r="6"/><path d="M8 4.6V8l2.3 1.5"/>`,
	"copy":      `<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5V4c0-.8-.7-1.5-1.5-1.5H4c-.8 0-1.5.7-1.5 1.5v5c0 .8.7 1.5 1.5 1.5h1.5"/>`,
	"dash":      `<path d="M4 8h8"/>`,
	"database":  `<ellipse cx="8" cy="4" rx="5" ry="1.9"/><path d="M3 4v8c0 1 2.2 1.9 5 1.9s5-.9 5-1.9V4M3 8c0 1 2.2 1.9 5 1.9S13 9 13 8"/>`,
	"download":  `<path d="M8 2.5v7.2M4.8 6.8 8 10l3.2-3.2M2.8 13.2h10.4"/>`,
	"edit":      `<path d="m10.6 2.9 2.5 2.5-7.4 7.4-3 .5.5-3 7.4-7.4Z"/>`,
	"external":  `<path d="M9.5 2.8h3.7v3.7M13 3 7.6 8.4M11.6 9.2v3c0 .6-.4 1-1 1H3.8c-.6 0-1-.4-1-1V5.4c0-.6.4-1 1-1h3"/>`,
	"eye":       `<path d="M1.8 8S4 3.8 8 3.8 14.2 8 14.2 8 12 12.2 8 12.2 1.8 8 1.8 8Z"/><circle cx="8" cy="8" r="1.9"/>`,
	"filter":    `<path d="M2.5 4h11M4.8 8h6.4M6.8 12h2.4"/>`,
	"flow":      `<rect x="2" y="2.2" width="4.6" height="4" rx="1"/><rect x="9.4" y="9.8" width="4.6" height="4" rx="1"/><path d="M4.3 6.2v4.1c0 .8.7 1.5 1.5 1.5h3.6"/>`,
	"grip":      `<path d="M5.8 3.5h.1M5.8 8h.1M5.8 12.5h.1M10.2 3.5h.1M10.2 8h.1M10.2 12.5h.1"/>`,
	"home":      `<path d="m2.5 7.4 5.5-4.6 5.5 4.6v5c0 .6-.5 1.1-1.1 1.1H3.6c-.6 0-1.1-.5-1.1-1.1v-5Z"/>`,
	"inbox":     `<path d="M2.3 9 4 3.6c.1-.5.5-.8 1-.8h6c.5 0 .9.3 1 .8L13.7 9v3.2c0 .6-.4 1-1 1H3.3c-.6 0-1-.4-1-1V9Z"/><path d="M2.3 9h3.2c.3 1.3 1.3 2 2.5 2s2.2-.7 2.5-2h3.2"/>`,
	"info":      `<circle cx="8" cy="8" r="6"/><path d="M8 7.3v3.5M8 5.1v.1"/>`,
	"jobs":      `<path d="M2.5 4h7M2.5 8h11M2.5 12h5"/><circle cx="12.3" cy="4" r="1.2"/><circle cx="10.3" cy="12" r="1.2"/>`,
	"key":       `<circle cx="5.2" cy="10.8" r="2.7"/><path d="m7.2 8.8 5.8-5.8M10.5 5.5l2 2"/>`,
	"list":      `<path d="M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1"/>`,
	"lock":      `<rect x="3" y="7" width="10" height="6.5" rx="1.5"/><path d="M5.2 7V5.2a2.8 2.8 0 0 1 5.6 0V7"/>`,
	"mail":      `<rect x="2" y="3.5" width="12" height="9" rx="1.5"/><path d="m2.5 4.8 5.5 4 5.5-4"/>`,
	"menu":      `<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>`,
	"minus":     `<circle cx="8" cy="8" r="6"/><path d="M5.5 8h5"/>`,
	"more":      `<path d="M3.5 8h.1M8 8h.1M12.5 8h.1"/>`,
	"pause":     `<path d="M5.5 3.5v9M10.5 3.5v9"/>`,
	"play":      `<path d="M5 3.3v9.4L12.5 8 5 3.3Z"/>`,
	"plus":      `<path d="M8 3v10M3 8h10"/>`,
	"queue":     `<path d="M8 2.3 14 5.2 8 8.1 2 5.2 8 2.3Z"/><path d="m2 8.2 6 2.9 6-2.9M2 11.1 8 14l6-2.9"/>`,
	"refresh":   `<path d="M13.2 7A5.3 5.3 0 0 0 3.6 5M2.8 9a5.3 5.3 0 0 0 9.6 2"/><path d="M3.2 2.5V5h2.5M12.8 13.5V11h-2.5"/>`,
	"replay":    `<rect x="2" y="3" width="12" height="8.5" rx="1.5"/><path d="M6.8 5.5v3.6l3-1.8-3-1.8ZM5.5 13.8h5"/>`,
	"search":    `<circle cx="7" cy="7" r="4.3"/><path d="m10.2 10.2 3.3 3.3"/>`,
	"server":    `<rect x="2.5" y="2.8" width="11" height="4.4" rx="1.2"/><rect x="2.5" y="8.8" width="11" height="4.4" rx="1.2"/><path d="M5 5h.1M5 11h.1"/>`,
	"settings":  `<path d="M2.5 5h5M11.5 5h2M2.5 11h2M8.5 11h5"/><circle cx="9.5" cy="5" r="1.8"/><circle cx="6.5" cy="11" r="1.8"/>`,
	"shield":    `<path d="M8 2.2 13 4v3.8c0 3-2 5-5 6-3-1-5-3-5-6V4l5-1.8Z"/><path d="m5.8 7.9 1.6 1.6 2.9-3"/>`,
	"sort":      `<path d="m5.5 6.2 2.5-2.7 2.5 2.7M5.5 9.8l2.5 2.7 2.5-2.7"/>`,
	"sortdown":  `<path d="M8 3.5v9M4.8 9.3 8 12.5l3.2-3.2"/>`,
	"sortup":    `<path d="M8 12.5v-9M4.8 6.7 8 3.5l3.2 3.2"/>`,
	"terminal":  `<rect x="2" y="2.8" width="12" height="10.4" rx="1.5"/><path d="m4.8 6 2 2-2 2M8.5 10h2.7"/>`,
	"trash":     `<path d="M2.8 4.3h10.4M6 4.3V3c0-.4.3-.7.7-.7h2.6c.4 0 .7.3.7.7v1.3M4.2 4.3l.6 8.3c0 .5.5 1 1 1h4.4c.5 0 1-.5 1-1l.6-8.3"/>`,
	"user":      `<circle cx="8" cy="5.3" r="2.7"/><path d="M2.8 13.5c.5-2.6 2.6-4 5.2-4s4.7 1.4 5.2 4"/>`,
	"users":     `<circle cx="6" cy="5.5" r="2.5"/><path d="M1.5 13c.4-2.4 2.2-3.6 4.5-3.6s4.1 1.2 4.5 3.6M10.5 3.2a2.5 2.5 0 0 1 0 4.6M12 9.8c1.3.5 2.2 1.6 2.5 3.2"/>`,
	"x":         `<path d="m4 4 8 8M12 4l-8 8"/>`,
	"xcircle":   `<circle cx="8" cy="8" r="6"/><path d="m5.8 5.8 4.4 4.4M10.2 5.8l-4.4 4.4"/>`,
	"zap":       `<path d="M8.8 1.9 3.3 9h4l-.6 5.1L12.7 7h-4l.1-5.1Z"/>`,
}

// Icon is one of our own icons as inline SVG in the colour of the text around
// it. It is hidden from screen readers: a label beside it carries the meaning.
func Icon(name string) (template.HTML, error) {
	shape, ok := icons[name]
	if !ok {
		return "", fmt.Errorf("ui: no icon is named %q", name)
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" ` +
		`stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">` + shape + `</svg>`), nil
}

// IconNames lists the icons in order.
func IconNames() []string {
	names := make([]string, 0, len(icons))
	for name := range icons {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
