package embedded

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // Redis names scripts by their SHA-1
	"encoding/hex"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// scripts runs Lua scripts on one interpreter kept for all of them, as
// redis-server does. miniredis builds one for every run, 0.1 ms of it while
// nobody else is served: at 3,000 events a second that was most of what a
// withdrawal waited for (docs/decisions/0021).
//
// What it does not take on, miniredis runs as before: a script in a
// transaction, and whatever gets an error before it runs.
type scripts struct {
	mini *miniredis.Miniredis
	lua  *interpreter // under the lock of mini

	mu    sync.Mutex
	known map[string]*lua.FunctionProto // by name: the SHA-1 of the source in hex
}

func newScripts(mini *miniredis.Miniredis) (*scripts, error) {
	interpreter, err := newInterpreter(mini.Server())
	if err != nil {
		return nil, err
	}
	return &scripts{mini: mini, lua: interpreter, known: make(map[string]*lua.FunctionProto)}, nil
}

// hook sees every command before miniredis does, and reports whether it has
// been answered.
func (s *scripts) hook(peer *server.Peer, command string, args ...string) (done bool) {
	switch command {
	case "SCRIPT", "EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO":
	default:
		return false
	}
	database, alone := alone(peer)
	if !alone || len(args) == 0 {
		return false
	}
	inv := invocation{name: strings.ToLower(args[0]), readOnly: strings.HasSuffix(command, "_RO"), database: database}
	switch command {
	case "SCRIPT":
		s.note(args)
		return false
	case "EVAL", "EVAL_RO":
		inv.name = s.load(args[0])
	}
	return s.run(peer, inv, args[1:])
}

// run runs a script that is known, with its number of keys, keys and arguments.
func (s *scripts) run(peer *server.Peer, inv invocation, args []string) (done bool) {
	s.mu.Lock()
	inv.script = s.known[inv.name]
	s.mu.Unlock()
	if inv.script == nil || len(args) == 0 {
		return false
	}
	keys, err := strconv.Atoi(args[0])
	if err != nil || keys < 0 || keys > len(args)-1 {
		return false
	}
	inv.keys, inv.args = args[1:1+keys], args[1+keys:]
	s.mini.Lock()
	defer s.mini.Unlock()
	s.lua.run(peer, inv)
	return true
}

// load makes a script known here and to miniredis, which may have to run it in
// a transaction, and returns its name.
func (s *scripts) load(source string) string {
	name := name(source)
	s.mu.Lock()
	_, known := s.known[name]
	s.mu.Unlock()
	if !known {
		s.lua.server.Dispatch(server.NewPeer(bufio.NewWriter(io.Discard)), []string{"SCRIPT", "LOAD", source})
	}
	return name
}

// note follows which scripts miniredis is told to know. One that does not
// compile is left to it: it says why. A flush that it refuses leaves all to it,
// until they are loaded again.
func (s *scripts) note(args []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(args) == 2 && strings.EqualFold(args[0], "LOAD"):
		if script, err := compile(args[1]); err == nil {
			s.known[name(args[1])] = script
		}
	case strings.EqualFold(args[0], "FLUSH"):
		clear(s.known)
	}
}

// compiled keeps what every server of this process was told, for as long as it runs: a pipeline loads the same scripts for
// each of its services. miniredis keeps them too.
var compiled sync.Map // of *lua.FunctionProto by source

func compile(source string) (*lua.FunctionProto, error) {
	if script, ok := compiled.Load(source); ok {
		return script.(*lua.FunctionProto), nil //nolint:forcetypeassert // it is one
	}
	chunk, err := parse.Parse(strings.NewReader(source), scriptName)
	if err != nil {
		return nil, err
	}
	script, err := lua.Compile(chunk, scriptName)
	if err != nil {
		return nil, err
	}
	compiled.Store(source, script)
	return script, nil
}

func name(source string) string {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// What miniredis knows of a connection it keeps to itself, so it is read by name; a server of which it does not know
// these does not start.
const databaseField = "selectedDB"

var busyFields = []string{"nested", "transaction", "subscriber"}

// alone says that a connection's next command runs by itself, outside of any
// transaction or script, and on which database.
func alone(peer *server.Peer) (database int64, yes bool) {
	if peer.Ctx == nil {
		return 0, true // its first command
	}
	known := reflect.Indirect(reflect.ValueOf(peer.Ctx))
	for _, field := range busyFields {
		if !known.FieldByName(field).IsZero() {
			return 0, false
		}
	}
	return known.FieldByName(databaseField).Int(), true
}
