package daemon

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lmittmann/tint"
)

// NewLogger returns a logger as configured. Text is for people, coloured on a
// terminal unless noColor (https://no-color.org); JSON is for machines.
func NewLogger(w io.Writer, c Log, noColor bool) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	terminal := IsTerminal(w)
	if c.Format == FormatJSON || c.Format == FormatAuto && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level: level, TimeFormat: time.TimeOnly, NoColor: noColor || !terminal,
	})), nil
}

// NoColor says whether the environment asks for plain text: NO_COLOR is set to
// anything.
func NoColor(environ []string) bool {
	return slices.ContainsFunc(environ, func(e string) bool {
		value, ok := strings.CutPrefix(e, "NO_COLOR=")
		return ok && value != ""
	})
}

// IsTerminal says whether what is written to w is read by a person at once. A
// character device that is no terminal, such as /dev/null, counts too; there it
// makes no difference.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}
