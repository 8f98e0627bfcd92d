package main

import "html/template"

// legendEntry is an arm's look, beside its name.
type legendEntry struct {
	Name   string
	What   string
	Ours   bool
	Swatch template.HTML
}

// Short tells whether the name is to stay on one line in a table's head.
func (e legendEntry) Short() bool { return len(e.Name) <= 10 }

func (w wardrobe) legend(arms []string) ([]legendEntry, error) {
	var entries []legendEntry
	for _, a := range arms {
		s, err := swatch(w[a])
		if err != nil {
			return nil, err
		}
		entries = append(entries, legendEntry{clean(a), w[a].what, w[a].ours, s})
	}
	return entries, nil
}
