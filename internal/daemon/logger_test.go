package daemon

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

func TestLogIsForMachinesUnlessAPersonReads(t *testing.T) {
	for format, want := range map[string]string{
		FormatAuto: `"msg":"hello"`, FormatJSON: `"msg":"hello"`, FormatText: "INF hello",
	} {
		var out strings.Builder
		log, err := NewLogger(&out, Log{Level: "info", Format: format}, false)
		require.NoError(t, err)
		log.Debug("quiet")
		log.Info("hello")
		require.Contains(t, out.String(), want)
		require.NotContains(t, out.String(), "quiet")
		require.NotContains(t, out.String(), "\x1b[", "no colours off a terminal")
	}
}

func TestSubjectIsMaskedInEveryFormat(t *testing.T) {
	subject, err := events.ParseSubject("person-4711")
	require.NoError(t, err)
	for _, format := range []string{FormatJSON, FormatText} {
		var out strings.Builder
		log, err := NewLogger(&out, Log{Level: "debug", Format: format}, false)
		require.NoError(t, err)
		log.With("a", subject).Info("x", "subject", subject, "deep", struct{ S events.Subject }{subject})
		require.NotContains(t, out.String(), "4711")
	}
}

func TestLevelMustBeKnown(t *testing.T) {
	_, err := NewLogger(&strings.Builder{}, Log{Level: "loud"}, false)
	require.ErrorContains(t, err, "log.level")
}
