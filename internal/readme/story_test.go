package readme

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// volatile is what differs from run to run: numbers, names made by chance, moments.
var volatile = regexp.MustCompile(`demo-\S+|\d[\d.:/@]*(ms|s)?\b|decisions?`)

// The README shows what the development command prints, line by line but for what
// differs from run to run; what services do in between comes in any order.
func TestReadmeShowsTheStoryThatIsTold(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, story, found := strings.Cut(string(readme), "$ go run ./cmd/consent-dev --once\n")
	require.True(t, found)
	story, _, _ = strings.Cut(story, "```")

	var out, errs bytes.Buffer
	run := exec.CommandContext(t.Context(), "go", "run", "./cmd/consent-dev", "--once", "--kafka-port", "0", "--redis-port", "0")
	run.Dir, run.Stdout, run.Stderr = "../..", &out, &errs
	require.NoError(t, run.Run(), errs.String())
	require.ElementsMatch(t, shapes(story), shapes(out.String()))
}

// shapes are the lines without what differs.
func shapes(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if words := strings.Fields(volatile.ReplaceAllString(line, "#")); len(words) > 0 {
			lines = append(lines, strings.Trim(strings.Join(words, " "), "─ "))
		}
	}
	return lines
}
