package guard_test

import (
	"context"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/guard/guardtest"
)

// sender is code that must ask before it uses a person's data.
type sender struct {
	consent guard.Checker // guard.New(client, "marketing") in production
}

func (s sender) send(ctx context.Context, to events.Subject) string {
	if d := s.consent.Check(ctx, to, "promotion"); !d.Allowed {
		return "not sent, " + d.String()
	}
	return "sent"
}

func Example() {
	consent := guardtest.New()
	someone, _ := events.ParseSubject("s-1")
	s := sender{consent}
	fmt.Println(s.send(context.Background(), someone))
	consent.Allow(someone, "promotion")
	fmt.Println(s.send(context.Background(), someone))
	consent.Stale()
	fmt.Println(s.send(context.Background(), someone))
	// Output:
	// not sent, denied: unknown-subject (promotion, consent), 0s old
	// sent
	// not sent, denied: stale (promotion)
}
