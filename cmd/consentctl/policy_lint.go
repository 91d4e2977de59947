package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

func newPolicyLint(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE...",
		Short: "Say what is wrong with versions of the policy",
		Long: "Say what is wrong with versions of the policy, by file, field and cause. Several files are one history:\n" +
			"name them in the order in which they are published, and each is held against those before it.\n" +
			"Exits with 3 when something is wrong. A warning is no fault: it names what may be meant, and seldom is.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			report, err := lint(files)
			if err != nil {
				return err
			}
			if err := p.print(c, report); err != nil {
				return err
			}
			if len(report.Faults) > 0 {
				return exit.ErrFindings
			}
			return nil
		},
	}
}

type lintReport struct {
	Fine     []edition `json:"fine"` // files without a fault
	Faults   []fault   `json:"faults"`
	Warnings []fault   `json:"warnings,omitempty"`
}

// edition is a version in a file.
type edition struct {
	File     string `json:"file,omitempty"`
	Policy   string `json:"policy"`
	Version  string `json:"version"`
	Hash     string `json:"hash"`
	Purposes int    `json:"purposes"`
}

func editionOf(file string, c *policy.Catalogue) edition {
	return edition{file, c.Policy, string(c.Version), c.Hash(), len(c.Purposes)}
}

func lint(files []string) (lintReport, error) {
	report := lintReport{Fine: []edition{}, Faults: []fault{}}
	book := new(policy.Book)
	for _, file := range files {
		c, faults, err := readCatalogue(file)
		if err != nil {
			return report, err
		}
		if c != nil {
			faults = policy.Lint(book, c)
			report.Warnings = append(report.Warnings, warnings(file, book, c)...)
			book, _ = book.With(c) // what it refuses is among the faults
		}
		if len(faults) == 0 {
			report.Fine = append(report.Fine, editionOf(file, c))
		}
		report.Faults = append(report.Faults, faultsOf(file, faults)...)
	}
	return report, nil
}

// Text implements [output.Result].
func (r lintReport) Text(w io.Writer) {
	for _, e := range r.Fine {
		fmt.Fprintf(w, "%s: fine: policy %s, version %s, %d purposes, %s\n", e.File, e.Policy, e.Version, e.Purposes, e.Hash)
	}
	for _, f := range r.Faults {
		fmt.Fprintln(w, f)
	}
	warn(w, r.Warnings)
}
