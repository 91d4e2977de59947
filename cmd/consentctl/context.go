package main

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

func newContext(p *program) *cobra.Command {
	return group("context", "List, choose and show the places to work at", newContextList(p), newContextUse(p), newContextShow(p))
}

func newContextList(p *program) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the contexts", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		at, err := p.place()
		if err != nil {
			return &exit.UsageError{Err: err}
		}
		list := contextList{File: at.file.Path, Contexts: []contextEntry{}}
		for _, name := range at.file.Names() {
			entry := at.file.Contexts[name]
			list.Contexts = append(list.Contexts, contextEntry{name, name == at.name, entry.Protected, entry.Config})
		}
		return p.print(c, list)
	}}
}

type contextList struct {
	File     string         `json:"file"`
	Contexts []contextEntry `json:"contexts"`
}

type contextEntry struct {
	Name      string `json:"name"`
	Current   bool   `json:"current"`
	Protected bool   `json:"protected"`
	Config    string `json:"config,omitempty"` // else its settings stand in the file
}

// Text implements [output.Result].
func (l contextList) Text(w io.Writer) {
	output.Columns(w, []string{"CURRENT", "NAME", "PROTECTED", "SETTINGS"}, func(yield func([]string) bool) {
		for _, e := range l.Contexts {
			row := []string{"", e.Name, "no", "in " + l.File}
			if e.Current {
				row[0] = "*"
			}
			if e.Protected {
				row[2] = "yes"
			}
			if e.Config != "" {
				row[3] = e.Config
			}
			if !yield(row) {
				return
			}
		}
	})
}

// Parts implements [output.Many].
func (l contextList) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, e := range l.Contexts {
			if !yield(e) {
				return
			}
		}
	}
}

func newContextUse(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Make a context the current one", Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeContexts,
		RunE: func(c *cobra.Command, names []string) error {
			file, err := p.readContexts()
			if err == nil {
				_, _, err = file.Choose(names[0])
			}
			if err != nil {
				return &exit.UsageError{Err: err}
			}
			if err := file.Use(names[0]); err != nil {
				return err
			}
			return p.print(c, contextUsed{names[0]})
		},
	}
}

type contextUsed struct {
	Current string `json:"current"`
}

// Text implements [output.Result].
func (u contextUsed) Text(w io.Writer) { fmt.Fprintf(w, "the current context is %s\n", u.Current) }

func newContextShow(p *program) *cobra.Command {
	c := &cobra.Command{
		Use: "show [NAME]", Short: "Print every setting, its value and where that comes from", Args: cobra.MaximumNArgs(1),
		Long: "Print every setting, its value and where that comes from: a flag, a variable, the file, the context or the default.\n" +
			"Secrets are only said to be set.",
		ValidArgsFunction: p.completeContexts,
	}
	fault := addSettings(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		if fault != nil {
			return fault
		}
		if len(names) > 0 {
			p.context = names[0]
		}
		at, cfg, loaded, err := p.load(c)
		if err != nil {
			return &exit.UsageError{Err: err}
		}
		return p.print(c, contextShown{at.name, at.file.Contexts[at.name].Protected, loaded.Values(cfg), loaded, cfg})
	}
	return c
}

type contextShown struct {
	Name      string           `json:"name"`
	Protected bool             `json:"protected"`
	Settings  []settings.Value `json:"settings"`

	loaded *settings.Loaded
	cfg    daemon.Config
}

// Text implements [output.Result].
func (s contextShown) Text(w io.Writer) {
	if s.Name != "" {
		fmt.Fprintf(w, "context %s%s\n", s.Name, strings.Repeat(", protected", btoi(s.Protected)))
	}
	_ = s.loaded.Print(w, s.cfg) // where should a failed line to standard output go?
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// completeContexts offers the contexts' names to the shell.
func (p *program) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	file, err := p.readContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return file.Names(), cobra.ShellCompDirectiveNoFileComp
}
