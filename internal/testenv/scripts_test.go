package testenv_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
)

// What the embedded Redis says to scripts is its own doing (internal/embedded), so all of it is seen on redis-server too.

func TestAScriptsValueIsAnsweredAsRedisDoes(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	for script, want := range map[string]any{
		"return 'text'": "text",
		"return 3.9":    int64(3),
		"return -3.9":   int64(-3),
		"return true":   int64(1),
		"return {1, {'a', {}}, 'b', nil, 'gone'}":                             []any{int64(1), []any{"a", []any{}}, "b"},
		"return {1, false, 2}":                                                []any{int64(1), nil, int64(2)},
		"return redis.status_reply('FINE')":                                   "FINE",
		"return redis.call('SET', 'k', 'v')":                                  "OK",
		"return redis.call('SET', 'k', 'v').ok":                               "OK",
		"return redis.call('HSET', KEYS[1], 'f', ARGV[2])":                    int64(1),
		"return redis.call('GET', 'nothing') == false":                        int64(1),
		"return redis.call('LRANGE', 'nothing', 0, -1)":                       []any{},
		"return redis.call('HMGET', KEYS[1], 'f', 'g')":                       []any{"second", nil},
		"return {#KEYS, #ARGV, KEYS[1], ARGV[1]}":                             []any{int64(1), int64(2), "h", "first"},
		"return redis.call('INCRBY', 'n', 12)":                                int64(12),
		"return redis.call('TIME')[3] == nil":                                 int64(1),
		"return redis.sha1hex('')":                                            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"return cjson.decode('[7]')[1]":                                       int64(7),
		"return select('#', unpack(ARGV))":                                    int64(2),
		"return redis.pcall('HGET', 'k', 'f').err ~= nil":                     int64(1),
		"return type(redis.pcall('NOSUCHCOMMAND').err)":                       "string",
		"return string.format('%d/%s', 5, table.concat(ARGV))":                "5/firstsecond",
		"return ('text'):upper()":                                             "TEXT",
		"return rawset({}, 1, 'set')[1]":                                      "set",
		"return select(2, pcall(redis.call, 'HGET', 'k', 'f')):match('^%u+')": "WRONGTYPE",
		"redis.log(redis.LOG_NOTICE, 'said'); return 1":                       int64(1),
		"return coroutine.wrap(function() coroutine.yield(5) end)()":          int64(5),
	} {
		require.NoError(t, cl.FlushAll(t.Context()).Err())
		require.NoError(t, cl.Set(t.Context(), "k", "v", 0).Err())
		if strings.Contains(script, "HMGET") {
			require.NoError(t, cl.HSet(t.Context(), "h", "f", "second").Err())
		}
		got, err := cl.Eval(t.Context(), script, []string{"h"}, "first", "second").Result()
		require.NoError(t, err, script)
		require.Equal(t, want, got, script)
	}
	_, err := cl.Eval(t.Context(), "return false", nil).Result()
	require.ErrorIs(t, err, redis.Nil)
}

// Callers tell errors apart by what they begin with.
func TestAScriptsErrorBeginsAsTheCommandsOwn(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	require.NoError(t, cl.Set(t.Context(), "k", "v", 0).Err())
	for script, prefix := range map[string]string{
		"return redis.call('HGET', 'k', 'f')":      "WRONGTYPE Operation against a key",
		"return redis.pcall('HGET', 'k', 'f')":     "WRONGTYPE Operation against a key",
		"return redis.error_reply('FENCED by 3')":  "FENCED by 3",
		"return redis.error_reply('-FENCED by 3')": "FENCED by 3",
		"return redis.error_reply('FENCED')":       "ERR FENCED",
		"return redis.error_reply(1)":              "ERR wrong number or type of arguments",
		"return redis.status_reply(1)":             "ERR wrong number or type of arguments",
		"return redis.call('NOSUCHCOMMAND')":       "ERR Unknown Redis command called from script",
		"return redis.call('BLPOP', 'l', 0)":       "ERR This Redis command is not allowed from script",
		"return redis.call('HELLO', 3)":            "ERR This Redis command is not allowed from script",
		"return redis.call('MULTI')":               "ERR This Redis command is not allowed from script",
		"return {err = 'FENCED by 3'}":             "FENCED by 3",
		"error({err = 'FENCED by 3'})":             "FENCED by 3",
		"error('broken')":                          "ERR ",
		"return nothing.field":                     "ERR ",
		"return redis.call('SET', 'k', {})":        "ERR ",
		"return redis.call()":                      "ERR ",
		"this does not compile":                    "ERR ",
		"return redis.call('EVAL', 'return 1', 0)": "ERR ",
	} {
		err := cl.Eval(t.Context(), script, nil).Err()
		require.Error(t, err, script)
		require.True(t, strings.HasPrefix(err.Error(), prefix), "%s: %v", script, err)
	}
}

func TestAScriptLeavesNothingForTheNext(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	for _, script := range []string{
		"kept = 1", "tostring = nil", "ARGV = {1}", "string.kept = 1", "redis.call = nil", "cjson.kept = 1", "_G.kept = 1",
		"rawset(_G, 'kept', 1)", "setmetatable(_G, nil)", "setmetatable(redis, nil)", "loadstring('kept = 1')()",
	} {
		require.Error(t, cl.Eval(t.Context(), script, nil).Err(), script)
	}
	require.ErrorContains(t, cl.Eval(t.Context(), "kept = 1", nil).Err(), "Attempt to modify a readonly table")
	require.Equal(t, "1", cl.Eval(t.Context(), "return tostring(1)", nil).Val())
	require.ErrorContains(t, cl.Eval(t.Context(), "return kept", nil).Err(), "nonexistent global variable 'kept'")
	length, err := cl.Eval(t.Context(), "return #ARGV", nil).Int()
	require.NoError(t, err)
	require.Zero(t, length)
	require.NoError(t, cl.Eval(t.Context(), "redis.call('SELECT', 1); return redis.call('SET', 'k', 'in 1')", nil).Err())
	require.ErrorIs(t, cl.Get(t.Context(), "k").Err(), redis.Nil)
	n, err := cl.Eval(t.Context(), "return redis.call('EXISTS', 'k')", nil).Int()
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestAReadOnlyScriptMayAskForTheTimeAndWritesNothing(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	script := redis.NewScript("return {redis.call('TIME')[1], redis.call('GET', KEYS[1])}")
	for range 2 { // sent whole, then by name
		require.NoError(t, script.RunRO(t.Context(), cl, []string{"k"}).Err())
	}
	writes := redis.NewScript("return redis.call('SET', KEYS[1], 'v')")
	for range 2 {
		require.ErrorContains(t, writes.RunRO(t.Context(), cl, []string{"k"}).Err(), "not allowed from read-only script")
	}
	require.ErrorIs(t, cl.Get(t.Context(), "k").Err(), redis.Nil)
}

// It is answered, as deep as it goes, and the server lives.
func TestATableThatHoldsItselfHasAnEnd(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	_, _ = cl.Eval(t.Context(), "local t = {}; t[1] = t; return t", nil).Result()
	require.NoError(t, cl.Ping(t.Context()).Err())
}

func TestEveryDatabaseIsReadWithItsTime(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	script := redis.NewScript("return {redis.call('TIME')[1], redis.call('GET', KEYS[1])}")
	conn := cl.Conn()
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.Select(t.Context(), 1).Err())
	require.NoError(t, conn.Set(t.Context(), "k", "in 1", 0).Err())
	got, err := script.RunRO(t.Context(), conn, []string{"k"}).Slice()
	require.NoError(t, err)
	require.Equal(t, "in 1", got[1])
	require.NoError(t, conn.Select(t.Context(), 0).Err())
	got, err = script.RunRO(t.Context(), conn, []string{"k"}).Slice()
	require.NoError(t, err)
	require.Nil(t, got[1])
}

func TestAScriptRunsInATransactionAndOnAnotherDatabase(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	script := redis.NewScript("return redis.call('SET', KEYS[1], ARGV[1])")
	for n, value := range []string{"whole", "by name"} {
		require.NoError(t, script.Run(t.Context(), cl, []string{"k"}, "before").Err())
		_, err := cl.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			if n == 0 {
				p.Eval(t.Context(), "return redis.call('SET', KEYS[1], ARGV[1])", []string{"k"}, value)
				return nil
			}
			p.EvalSha(t.Context(), script.Hash(), []string{"k"}, value)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, value, cl.Get(t.Context(), "k").Val())
	}
	conn := cl.Conn()
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.Select(t.Context(), 1).Err())
	require.NoError(t, conn.EvalSha(t.Context(), script.Hash(), []string{"k"}, "in 1").Err())
	require.Equal(t, "by name", cl.Get(t.Context(), "k").Val())
	require.NoError(t, conn.Select(t.Context(), 0).Err())
}

func TestScriptsAreKnownByNameUntilTheyAreFlushed(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	script := redis.NewScript("return 7")
	require.Equal(t, []bool{false}, cl.ScriptExists(t.Context(), script.Hash()).Val())
	require.NoError(t, cl.Eval(t.Context(), "return 7", nil).Err())
	require.Equal(t, []bool{true}, cl.ScriptExists(t.Context(), script.Hash()).Val())
	require.NoError(t, cl.EvalSha(t.Context(), strings.ToUpper(script.Hash()), nil).Err())
	require.Error(t, cl.Do(t.Context(), "SCRIPT", "FLUSH", "BOGUS").Err())
	require.NoError(t, cl.EvalSha(t.Context(), script.Hash(), nil).Err())
	require.NoError(t, cl.ScriptFlush(t.Context()).Err())
	require.True(t, redis.HasErrorPrefix(cl.EvalSha(t.Context(), script.Hash(), nil).Err(), "NOSCRIPT"))
}

// As many as the largest batch hands to one command, and then some (Redis' own limit is some 8,000).
func TestAScriptHandsThousandsOfValuesOn(t *testing.T) {
	cl := testenv.Redis(t).Client(t)
	values := make([]any, 7000)
	for i := range values {
		values[i] = i
	}
	n, err := cl.Eval(t.Context(), "return redis.call('SADD', KEYS[1], unpack(ARGV))", []string{"s"}, values...).Int()
	require.NoError(t, err)
	require.Equal(t, len(values), n)
}
