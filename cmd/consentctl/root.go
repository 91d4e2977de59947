package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// program is what all commands share.
type program struct {
	environ  []string
	format   string
	context  string // --context
	contexts string // --contexts-file
	begun    bool   // the arguments were right and the command runs
}

func newRoot(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:           "consentctl",
		Short:         "Look after Kelisim",
		Version:       daemon.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&p.format, "output", "o", string(output.Table), "form of the result: table, json, jsonl or yaml")
	flags.StringVar(&p.context, "context", "", "context to work in ("+contextEnv+")")
	flags.StringVar(&p.contexts, "contexts-file", "", "file of the contexts ("+contextsEnv+")")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(output.Formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("context", p.completeContexts)
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if err := output.Format(p.format).Check(); err != nil {
			return fmt.Errorf("--output: %w", err)
		}
		p.begun = true
		return nil
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return settings.ExplainFlag(c.Flags(), err) })
	root.AddCommand(
		newPublish(p),
		newShow(p),
		newTrace(p),
		newLag(p),
		newTail(p),
		newVerify(p),
		newReplay(p),
		newParked(p),
		newOffsets(p),
		newRebuild(p),
		newRetention(p),
		newPolicy(p),
		newTopics(p),
		newDoctor(p),
		newCanary(p),
		newContext(p),
		newAudit(p),
	)
	return root
}

// group makes a command that only holds others. It refuses a name that is none
// of theirs.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return exit.Misused("%s: which command? See --help", c.CommandPath())
	}}
	c.AddCommand(commands...)
	return c
}

// print writes the result as asked for.
func (p *program) print(c *cobra.Command, r output.Result) error {
	return output.Format(p.format).Print(c.OutOrStdout(), r)
}
