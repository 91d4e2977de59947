package cache

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kelisim/kelisim/events"
)

// The answers of the scripts that begin with mark.lua.
const (
	codeOK = iota
	codeMoved
	codeFenced
	codeOutdated
	codeDamaged
	codeCareful // the batch must be sent again with what the careful way needs
	codeChunk   // the chunk before it is missing
	codeGone    // another generation takes the partition's place
	codeDoubt   // whether states were lost is not known; see resolve.lua
)

// markReply is what those scripts return.
type markReply struct {
	code    int64
	clock   int64 // Redis' clock, in microseconds
	mark    Mark
	top     int64 // no stored version is at or above
	skipped int64
}

// markReplyLen is the number of values in a reply; see reply in mark.lua.
const markReplyLen = 13

// parseMark takes a reply apart. What is not one is an error.
func parseMark(v any) (markReply, error) {
	values, ok := v.([]any)
	if !ok || len(values) != markReplyLen {
		return markReply{}, fmt.Errorf("redis answered %T instead of a mark", v)
	}
	p := parser{values: values}
	r := markReply{code: p.int(0), clock: p.int(1)*1e6 + p.int(2)}
	torn, begun := p.text(5) != "", p.text(4) != ""
	r.mark = Mark{Known: begun && !torn, Epoch: p.optional(3)}
	if begun {
		r.mark.Next, r.mark.Acted = p.int(4), p.int(4)
		if p.text(6) != "" {
			r.mark.Acted = min(p.score(6), r.mark.Next)
		}
		r.mark.Receipted = p.int(7)
		r.mark.Fresh = events.Millis(p.int(8))
		r.mark.Digest = Digest(p.int(9))
		r.mark.Stage = p.stage(12)
	}
	r.top, r.skipped = p.int(10), p.int(11)
	if p.err != nil {
		return markReply{}, fmt.Errorf("redis answered a mark that cannot be read: %w", p.err)
	}
	if !r.mark.Known {
		r.mark = Mark{Epoch: r.mark.Epoch}
	}
	return r, nil
}

// parser reads values of a reply and remembers the first fault.
type parser struct {
	values []any
	err    error
}

func (p *parser) text(i int) string {
	s, ok := p.values[i].(string)
	if !ok && p.values[i] != nil && p.err == nil {
		p.err = fmt.Errorf("value %d is a %T", i, p.values[i])
	}
	return s
}

func (p *parser) int(i int) int64 {
	n, err := strconv.ParseInt(p.text(i), 10, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("value %d is no number", i)
	}
	return n
}

// stage reads what stageText wrote. What is no stage takes nothing.
func (p *parser) stage(i int) events.Stage {
	if p.text(i) == "" {
		return events.StageOpen
	}
	s, _ := events.ParseStage(p.text(i))
	return s
}

// stageText writes a stage down. An open one is nothing, as in caches that were
// written before there were any.
func stageText(s events.Stage) string {
	if s == events.StageOpen {
		return ""
	}
	return s.String()
}

// optional is int, but nothing counts as 0.
func (p *parser) optional(i int) int64 {
	if p.text(i) == "" {
		return 0
	}
	return p.int(i)
}

// score reads a score of a sorted set, which Redis prints as a double.
func (p *parser) score(i int) int64 {
	f, err := strconv.ParseFloat(p.text(i), 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("value %d is no score", i)
	}
	return int64(f)
}

// failure turns a reply's code into the error that the caller gets.
func (r *markReply) failure(partition int32, expected int64) error {
	var cause error
	switch r.code {
	case codeOK:
		return nil
	case codeMoved:
		return &MovedError{Partition: partition, Expected: expected, Mark: r.mark}
	case codeFenced:
		cause = ErrFenced
	case codeOutdated:
		cause = ErrOutdated
	case codeDamaged:
		cause = ErrDamaged
	case codeGone:
		cause = fmt.Errorf("%w: another generation took the partition's place", ErrLayout)
	case codeDoubt:
		cause = fmt.Errorf("%w: whether states were lost is not known", ErrUnavailable)
	case codeChunk:
		cause = fmt.Errorf("%w: a part of the batch was not written", ErrUnavailable)
	default:
		cause = fmt.Errorf("redis answered code %d", r.code)
	}
	return fmt.Errorf("partition %d: %w", partition, cause)
}

// clock is a lower bound of Redis' clock, learned from one reply: the script ran
// before the reply was received, so Redis' clock was at least this far then.
type clock struct {
	micros   int64
	received time.Time // monotonic
}

// at returns a lower bound of what Redis' clock showed at a moment. Any error
// of the bound makes answers look older, never fresher.
func (c clock) at(t time.Time) events.Millis {
	micros := c.micros - c.received.Sub(t).Microseconds()
	return events.Millis(micros / 1000)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
