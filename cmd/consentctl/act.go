package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// operatorEnv names who acts.
const operatorEnv = "KELISIM_OPERATOR"

// actFlags are the flags of every command that may change something.
type actFlags struct {
	apply                     bool
	reason, operator, confirm string
}

func (f *actFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&f.apply, "apply", false, "do it; without, show what would be done")
	flags.StringVar(&f.confirm, "confirm", "", "name of the protected context that is meant")
	f.addWho(c)
}

// addSmall gives a command the flags of an act that changes nothing about anybody: it
// needs no --apply, and a reason of its own goes without saying.
func (f *actFlags) addSmall(c *cobra.Command) {
	c.Flags().StringVar(&f.confirm, "confirm", "", "name of the protected context that is meant")
	f.addWho(c)
}

// addWho gives a command the flags of what is recorded without being an act.
func (f *actFlags) addWho(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.reason, "reason", "", "why, for the record; name no person")
	flags.StringVar(&f.operator, "operator", "", "who, for the record; this system's user when empty ("+operatorEnv+")")
}

// actor returns who carries out what the command is to do. It refuses an act
// without a reason, and one on a protected context that was not named.
func (s *session) actor(f *actFlags) (audit.Actor, error) {
	if !f.apply {
		return audit.DryRun{}, nil
	}
	recorder, err := s.recorder(f)
	if err != nil {
		return nil, err
	}
	return recorder, s.confirm(f.confirm)
}

// small returns who records an act that changes nothing about anybody, for a reason that
// goes without saying unless another was said.
func (s *session) small(f *actFlags, reason string) (*audit.Recorder, error) {
	f.reason = cmp.Or(strings.TrimSpace(f.reason), reason)
	if err := s.confirm(f.confirm); err != nil {
		return nil, err
	}
	return s.recorder(f)
}

// recorder returns the actor that records. Nobody acts without a reason.
func (s *session) recorder(f *actFlags) (*audit.Recorder, error) {
	if strings.TrimSpace(f.reason) == "" {
		return nil, exit.Misused("--reason: say why, for the record")
	}
	operator := cmp.Or(f.operator, lookup(s.program.environ, operatorEnv))
	if operator == "" {
		me, err := user.Current()
		if err != nil {
			return nil, exit.Misused("--operator: say who acts: %w", err)
		}
		operator = me.Username
	}
	if err := s.hasRecord(); err != nil {
		return nil, err
	}
	producer, err := s.Producer()
	if err != nil {
		return nil, err
	}
	return &audit.Recorder{
		Publisher: producer, Topic: s.Topics.Audit,
		Who: audit.Who{Operator: operator, Reason: f.reason, Context: s.place.name},
	}, nil
}

// hasRecord refuses at once where there is no record to write to: a producer
// would go on looking for the topic.
func (s *session) hasRecord() error {
	admin, err := s.Admin()
	if err != nil {
		return err
	}
	found, err := admin.Topics(s.Context(), s.Topics.Audit)
	if err != nil {
		return fmt.Errorf("what is done cannot be recorded: topic %s: %w", s.Topics.Audit, err)
	}
	if _, there := found[s.Topics.Audit]; !there {
		return exit.Refuse("what is done cannot be recorded: topic %s: is not there; consentctl topics create makes it", s.Topics.Audit)
	}
	return nil
}

// confirm refuses unless the protected context that would be changed was named:
// by the flag, or by a person at a terminal.
func (s *session) confirm(named string) error {
	protected, err := s.place.protected(s.Context(), s.Kafka.Brokers, s.redisAddrs)
	switch {
	case err != nil:
		return err
	case named != "" && named != cmp.Or(protected, s.place.name):
		return exit.Refuse("--confirm names %s, and this is %s", named, cmp.Or(protected, s.place.name, "no context"))
	case protected == "" || named == protected:
		return nil
	}
	typed, err := s.ask(fmt.Sprintf("%s is protected. Type its name to go on: ", protected))
	if err == nil && typed != protected {
		err = exit.Refuse("%s is protected: say --confirm %s", protected, protected)
	}
	return err
}

// ask asks a person. Where none sits at a terminal nothing is asked, and the
// answer is empty.
func (s *session) ask(question string) (string, error) {
	in, ok := s.InOrStdin().(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return "", nil
	}
	info, err := in.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 || !daemon.IsTerminal(s.ErrOrStderr()) {
		return "", nil
	}
	fmt.Fprint(s.ErrOrStderr(), question)
	answer, err := bufio.NewReader(s.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(answer), nil
}
