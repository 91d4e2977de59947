package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// pageArgs is how many arguments a pipeline has before it is sent: those of eight
// scripts of 500 changes, or of some hundred that write one. What they point at
// then fits a processor's cache from when it is summed up until it is sent, Redis
// is busy for some 10 ms, and one deadline is never for a whole window.
const pageArgs = 12_000

// pages sends commands in pipelines of a bounded length. Where Redis does not answer
// to one, those behind it are not sent and fail with it: each would wait for its
// own deadline. Each command has its own error.
type pages struct {
	client redis.UniversalClient
	cmds   []*redis.Cmd
	args   int
	failed error
}

// add takes a command, and sends what there is when it is a page.
func (p *pages) add(ctx context.Context, cmd *redis.Cmd) {
	p.cmds = append(p.cmds, cmd)
	if p.args += len(cmd.Args()); p.args >= pageArgs {
		p.send(ctx)
	}
}

// send sends the last page, or what there is of it.
func (p *pages) send(ctx context.Context) {
	if len(p.cmds) == 0 {
		return
	}
	pipe := p.client.Pipeline()
	for _, cmd := range p.cmds {
		if cmd.SetErr(p.failed); p.failed == nil {
			_ = pipe.Process(ctx, cmd)
		}
	}
	var answer redis.Error // to one command: the others are none the worse for it
	if _, err := pipe.Exec(ctx); p.failed == nil && !errors.As(err, &answer) {
		p.failed = err
	}
	p.cmds, p.args = p.cmds[:0], 0
}
