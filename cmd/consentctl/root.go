package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
)

// program is what all commands share.
type program struct {
	environ []string
	format  string
	begun   bool // the arguments were right and the command runs
}

// errFindings ends a command that found what it was to look for.
var errFindings = errors.New("findings")

// usageError is a fault in how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:           "consentctl",
		Short:         "Look after Kelisim",
		Version:       daemon.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&p.format, "output", "o", "text", "form of the result: text or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if p.format != "text" && p.format != "json" {
			return fmt.Errorf("--output: %q is none of text, json", p.format)
		}
		p.begun = true
		return nil
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return settings.ExplainFlag(c.Flags(), err) })
	root.AddCommand(newPolicy(p))
	return root
}

// group makes a command that only holds others. It refuses a name that is none
// of theirs.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return usageError{fmt.Errorf("%s: which command? See --help", c.CommandPath())}
	}}
	c.AddCommand(commands...)
	return c
}

// result is what a command has to say: as text for people, and through its JSON
// form for programs.
type result interface {
	text(w io.Writer)
}

// print writes the result as asked for.
func (p *program) print(w io.Writer, r result) error {
	if p.format == "text" {
		r.text(w)
		return nil
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(r)
}
