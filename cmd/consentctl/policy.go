package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events/policy"
)

func newPolicy(p *program) *cobra.Command {
	return group("policy", "Check, compare and publish versions of the privacy policy",
		newPolicyLint(p), newPolicyDiff(p), newPolicyPublish(p))
}

// fault is what is wrong with a file, as commands print it.
type fault struct {
	File  string `json:"file"`
	Field string `json:"field"` // empty when it is of the whole file
	Cause string `json:"cause"`
}

func (f fault) String() string {
	if f.Field == "" {
		return f.File + ": " + f.Cause
	}
	return f.File + ": " + f.Field + ": " + f.Cause
}

func faultsOf(file string, all policy.Faults) []fault {
	out := make([]fault, len(all))
	for i, f := range all {
		out[i] = fault{file, f.Field, f.Cause.Error()}
	}
	return out
}

// readCatalogue reads a file. What is wrong with its content comes back as
// faults, what is wrong with reading it as an error.
func readCatalogue(file string) (*policy.Catalogue, policy.Faults, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	c, err := policy.Parse(text)
	var faults policy.Faults
	if errors.As(err, &faults) {
		return nil, faults, nil
	}
	return c, nil, err
}

// mustCatalogue is for commands that can do nothing with a faulty file.
func mustCatalogue(file string) (*policy.Catalogue, error) {
	c, faults, err := readCatalogue(file)
	if err == nil && len(faults) > 0 {
		err = fmt.Errorf("%s:\n%w", file, faults)
	}
	return c, err
}

// newest returns the last published version, nil when there is none.
func newest(b *policy.Book) *policy.Catalogue {
	all := b.Versions()
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}
