package ui

import (
	"fmt"
	"html/template"
)

// funcs are the functions every template has.
//
//	asset "kept.js"              address of a built file
//	icon "name"                  inline SVG, hidden from screen readers
//	time t · timeShort t · ago t · clock t · date t
//	duration d · count n · bytes n · percent x · plural n "job" "jobs"
//	withQuery url "k" v …        the address with parameters set, or removed by ""
//	badge status · pill tone text
//	json b · stack text · command text · code text
//	spark values "label"         a line without axes, as SVG
//	sortLink sorts "key" "Label" a sortable column heading (th)
//	render "template" data       a template chosen by name
//	dict "k" v …                 several values for one template
func (u *UI) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":     u.assets.asset,
		"icon":      Icon,
		"time":      TimeFull,
		"timeShort": TimeShort,
		"ago":       TimeAgo,
		"clock":     TimeClock,
		"date":      TimeDate,
		"duration":  Duration,
		"count":     Count,
		"bytes":     Bytes,
		"percent":   Percent,
		"plural":    Plural,
		"withQuery": WithQuery,
		"badge":     Badge,
		"pill":      Pill,
		"json":      JSON,
		"stack":     Stack,
		"command":   Command,
		"code":      Code,
		"spark":     Spark,
		"sortLink":  sortLink,
		"dict":      dict,
		"render": func(name string, _ any) (template.HTML, error) {
			return "", fmt.Errorf("render %q: only page templates can", name)
		},
	}
}

func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: odd number of arguments")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: key %v is not a string", pairs[i])
		}
		m[k] = pairs[i+1]
	}
	return m, nil
}
