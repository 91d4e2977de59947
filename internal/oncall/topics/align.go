package topics

import (
	"context"
	"fmt"
	"strconv"
)

// Setter sets settings of topics; [*stream.Admin] is one.
type Setter interface {
	SetTopicSettings(ctx context.Context, topic string, settings map[string]string, check bool) error
}

// Change is a topic and the settings that it is to get.
type Change struct {
	Topic    string            `json:"topic"`
	Settings map[string]string `json:"settings"`
}

// Alignment is what can be set, and what must not be.
type Alignment struct {
	Changes []Change     `json:"changes,omitempty"`
	Refused []Difference `json:"refused,omitempty"` // their Fix says why
	Left    []Difference `json:"left,omitempty"`    // no settings: other commands mend them
}

// Align sorts differences. A setting is refused when setting it would make Kafka
// delete what it keeps now: that is not mended by a command that runs over all
// topics, but decided by a person for one.
func Align(differences []Difference) Alignment {
	var a Alignment
	at := make(map[string]int)
	for _, d := range differences {
		switch why := deletes(d); {
		case d.Fix != FixAlign:
			a.Left = append(a.Left, d)
		case why != "":
			d.Fix = why
			a.Refused = append(a.Refused, d)
		default:
			i, ok := at[d.Topic]
			if !ok {
				i = len(a.Changes)
				at[d.Topic] = i
				a.Changes = append(a.Changes, Change{d.Topic, make(map[string]string)})
			}
			a.Changes[i].Settings[d.What] = d.Want
		}
	}
	return a
}

// forever is Kafka's word for a limit that is none.
const forever = -1

// deletes says why setting the wanted value would delete records, or nothing. A
// cleanup policy is never refused: the wanted one is what the topic was made for,
// and every hour with another one loses more.
func deletes(d Difference) string {
	if d.What != "retention.ms" && d.What != "retention.bytes" {
		return ""
	}
	want, err := strconv.ParseInt(d.Want, 10, 64)
	if err != nil || want == forever {
		return ""
	}
	if is, err := strconv.ParseInt(d.Is, 10, 64); err == nil && is != forever && is <= want {
		return ""
	}
	return fmt.Sprintf("refused: Kafka would delete what it keeps now; if that is meant: "+
		"kafka-configs.sh --alter --topic %s --add-config %s=%s", d.Topic, d.What, d.Want)
}

// Apply sets what the alignment changes, after the brokers have said of all of it
// that they would.
func Apply(ctx context.Context, k Setter, changes []Change) error {
	for _, check := range []bool{true, false} {
		for _, c := range changes {
			if err := k.SetTopicSettings(ctx, c.Topic, c.Settings, check); err != nil {
				return err
			}
		}
	}
	return nil
}
