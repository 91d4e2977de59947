package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/kelisim/kelisim/internal/daemon"
)

// page is the console that people read. What goes out in one call stays in one
// piece, whoever writes besides.
type page struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
	err    error // the first one of writing; whoever reads is gone
}

// newPage colours words only on a terminal, and not when the environment says
// NO_COLOR.
func newPage(out io.Writer, environ []string) *page {
	return &page{out: out, colour: daemon.IsTerminal(out) && !daemon.NoColor(environ)}
}

// print writes lines, each ended.
func (p *page) print(lines ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.out, strings.Join(lines, "\n")+"\n"); err != nil && p.err == nil {
		p.err = err
	}
}

// The colours: what is allowed, what is denied or broken, and what can be
// overlooked.
const (
	green = "32"
	red   = "31"
	faint = "2"
	bold  = "1"
)

// paint colours a text that is already padded: escapes have no width, but
// formatting verbs count them.
func (p *page) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// rule is a line across the page with a title in it.
func (p *page) rule(title string) string {
	return p.paint(bold, fmt.Sprintf("── %s %s", title, strings.Repeat("─", max(0, pageWidth-4-len([]rune(title))))))
}

// pageWidth is what every terminal has.
const pageWidth = 80
