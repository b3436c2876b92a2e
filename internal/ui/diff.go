package ui

import "strings"

// DiffLine is a line of a comparison: {{template "ui.diff" (dict "Lines" .Changes "Label" "h-changes")}}, where Label is the
// id of the heading.
type DiffLine struct {
	Kind string // "add", "del", "same", "gap"
	Text string
}

// Diff compares two texts by lines, and leaves out what is the same far from any change. Texts that are the same have no
// lines.
func Diff(before, after string) []DiffLine {
	if before == after {
		return nil
	}
	return diff(lines(before), lines(after))
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// contextLines is how many lines that are the same stand around a change.
const contextLines = 3

// diff compares two texts by lines. What is the same at both ends is set aside first; of the rest the longest common
// subsequence is found, or, where that would be too much work, all of it counts as changed.
func diff(a, b []string) []DiffLine {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []DiffLine
	add := func(kind string, texts []string) {
		for _, t := range texts {
			out = append(out, DiffLine{kind, t})
		}
	}
	add("same", a[:head])
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	add("same", a[len(a)-tail:])
	return squeeze(out)
}

const maxDiff = 4_000_000 // cells of the table

func middle(a, b []string) (out []DiffLine) {
	if len(a)*len(b) > maxDiff {
		for _, t := range a {
			out = append(out, DiffLine{"del", t})
		}
		for _, t := range b {
			out = append(out, DiffLine{"add", t})
		}
		return out
	}
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, DiffLine{"same", a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			out = append(out, DiffLine{"del", a[i]})
			i++
		default:
			out = append(out, DiffLine{"add", b[j]})
			j++
		}
	}
	return out
}

// squeeze replaces long stretches that are the same by a gap.
func squeeze(in []DiffLine) (out []DiffLine) {
	near := make([]bool, len(in))
	for i, l := range in {
		if l.Kind == "same" {
			continue
		}
		for j := max(0, i-contextLines); j <= min(len(in)-1, i+contextLines); j++ {
			near[j] = true
		}
	}
	for i, l := range in {
		switch {
		case near[i]:
			out = append(out, l)
		case i == 0 || near[i-1]:
			out = append(out, DiffLine{Kind: "gap"})
		}
	}
	return out
}
