package cloudevent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/schemas"
)

// TestValuesNeverTravel: what is no part of an event does not leave its producer, and
// what is refused is named as far as a name cannot be a person's.
func TestValuesNeverTravel(t *testing.T) {
	const outside = "encode io.kelisim.consent.withdrawn.v1: malformed event: data-schema of "
	for data, want := range map[string]string{
		`{"channel":"app"}`:                    "",
		` {"channel":"web","locale":"kk"} `:    "",
		`{"channel":"app","locale":"\u006bk"}`: "",

		`{"channel":"app","phone":"+77010000000"}`:  outside + "data.phone",
		`{"channel":"app","+77010000000":true}`:     outside + "data.?",
		`{"channel":"+77010000000"}`:                outside + "data.channel",
		`{"channel":"app","locale":{"name":"A B"}}`: outside + "data.locale",
		`{"channel":"\":\\"}`:                       outside + "data.channel",
		`{}`:                                        outside + "data.channel",
		`{"phone":1,"name":"A"}`:                    outside + "data.channel, data.name, data.phone",

		`{"channel":"+77010000000","channel":"app"}`:         "encode io.kelisim.consent.withdrawn.v1: malformed event: duplicate-attribute of data",
		`{"channel":"app","locale":"kk","loc\u0061le":"kk"}`: "encode io.kelisim.consent.withdrawn.v1: malformed event: duplicate-attribute of data",
		`{"channel":"app"} {}`:                               "encode io.kelisim.consent.withdrawn.v1: malformed event: json of data",
		`{channel}`:                                          "encode io.kelisim.consent.withdrawn.v1: malformed event: json of data",
		"{\"channel\":\"\xff\"}":                             "encode io.kelisim.consent.withdrawn.v1: malformed event: utf8 of data",
	} {
		e := good(t)
		e.Data = []byte(data)
		_, err := Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
		if want == "" {
			require.NoError(t, err, data)
			continue
		}
		require.EqualError(t, err, want, data)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

// TestWhoSaysSoPublishesDataUnchecked, and nobody else: the zero Encoder encodes nothing.
func TestWhoSaysSoPublishesDataUnchecked(t *testing.T) {
	e := good(t)
	e.Data = []byte(`{"phone":"+77010000000"}`)
	_, err := Encoder{Rules: events.SeedRules(), AnyData: true}.Encode(&e)
	require.NoError(t, err)
	e.Data = []byte("null")
	_, err = Encoder{Rules: events.SeedRules(), AnyData: true}.Encode(&e)
	requireReason(t, DataNotObject, err)
	e = good(t)
	_, err = Encoder{Rules: events.SeedRules()}.Encode(&e)
	require.ErrorIs(t, err, errNoContract)
}

// TestReadersTakeWhatTheyDoNotKnow: only producers are held to the schema.
func TestReadersTakeWhatTheyDoNotKnow(t *testing.T) {
	var e events.Event
	require.NoError(t, decoder().Decode(recordOf(person, `{"channel":"drone"}`, withdrawal()), &e))
}

// TestDataOfEveryTypeIsChecked: no type is without a schema.
func TestDataOfEveryTypeIsChecked(t *testing.T) {
	for _, eventType := range events.Types() {
		encoder := Encoder{Data: schemas.Data}
		requireReason(t, DataOutsideSchema, encoder.admit(eventType, []byte(`{"telephone":"+77010000000"}`)))
		requireReason(t, cekafka.JSON, encoder.admit(eventType, []byte(`{`)))
	}
}

// good is a withdrawal that the encoder takes.
func good(t *testing.T) (e events.Event) {
	t.Helper()
	require.NoError(t, decoder().Decode(recordOf(person, details, withdrawal()), &e))
	return e
}
