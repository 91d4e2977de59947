package embedded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

const (
	// scriptName is what Redis calls a script where it names a line of it.
	scriptName = "user_script"
	// luaValues is how many values a script may have at hand, so how many it may unpack: Redis' own limit on that is
	// 8,000 (LUAI_MAXCSTACK), and calls need some beside it.
	luaValues = 16 << 10
)

// interpreter runs scripts one after the other, and what they call.
type interpreter struct {
	state   *lua.LState
	globals *globals
	server  *server.Server
	now     invocation // what is running
	caller  *server.Peer
	answers bytes.Buffer // what caller was answered
	reader  *bufio.Reader
	inside  reflect.Value // what miniredis knows of a connection inside a script
}

// invocation is one run of a script.
type invocation struct {
	name       string
	script     *lua.FunctionProto
	readOnly   bool
	database   int64
	keys, args []string
}

func newInterpreter(srv *server.Server) (*interpreter, error) {
	in := &interpreter{server: srv}
	var err error
	if in.inside, err = lookInside(srv); err != nil {
		return nil, err
	}
	in.caller, in.reader = server.NewPeer(bufio.NewWriter(&in.answers)), bufio.NewReader(&in.answers)
	in.state = lua.NewState(lua.Options{SkipOpenLibs: true, RegistrySize: luaValues})
	in.globals = newGlobals(in.state, in.commands())
	return in, nil
}

// lookInside has miniredis run a script of its own, and keeps what it hands to the commands in it. A command that is
// given that takes no lock: the script has it.
func lookInside(srv *server.Server) (inside reflect.Value, err error) {
	const look = "KELISIM.LOOK"
	if err := srv.Register(look, func(peer *server.Peer, _ string, _ []string) {
		if inside.IsValid() {
			peer.WriteError("ERR unknown command `" + look + "`")
			return
		}
		inside = reflect.ValueOf(peer.Ctx)
		peer.WriteOK()
	}); err != nil {
		return inside, err
	}
	srv.Dispatch(server.NewPeer(bufio.NewWriter(&bytes.Buffer{})), []string{"EVAL", "return redis.call('" + look + "')", "0"})
	if inside.Kind() != reflect.Pointer {
		return inside, errors.New("miniredis shows nothing of a script's connection")
	}
	for _, field := range append([]string{databaseField}, busyFields...) {
		if !inside.Elem().FieldByName(field).IsValid() {
			return inside, fmt.Errorf("miniredis knows no %q of a connection", field)
		}
	}
	return inside, nil
}

// run runs a script and answers peer with what it returns.
func (in *interpreter) run(peer *server.Peer, inv invocation) {
	in.now = inv
	fresh := reflect.New(in.inside.Type().Elem()) // a script may change it: SELECT
	fresh.Elem().Set(in.inside.Elem())
	in.caller.Ctx = fresh.Interface()
	if inv.database != 0 {
		in.server.Dispatch(in.caller, []string{"SELECT", strconv.FormatInt(inv.database, 10)})
		in.caller.Flush() // nobody reads that it worked
	}
	in.globals.real.RawSetString("KEYS", in.list(inv.keys))
	in.globals.real.RawSetString("ARGV", in.list(inv.args))
	in.state.Push(in.state.NewFunctionFromProto(inv.script))
	if err := in.state.PCall(0, 1, nil); err != nil {
		peer.WriteError(in.failure(err))
		return
	}
	answer(peer, in.state.Get(-1), 0)
	in.state.Pop(1)
}

func (in *interpreter) list(values []string) *lua.LTable {
	list := in.state.CreateTable(len(values), 0)
	for i, value := range values {
		list.RawSetInt(i+1, lua.LString(value))
	}
	return list
}

// failure is what Redis says where a script ends with an error: a command's error stays what it is.
func (in *interpreter) failure(err error) string {
	text := err.Error()
	if api, ok := err.(*lua.ApiError); ok { //nolint:errorlint // gopher-lua does not wrap it
		text = api.Object.String()
		if table, ok := api.Object.(*lua.LTable); ok {
			text = table.RawGetString("err").String()
		}
	}
	return fmt.Sprintf("%s script: %s, on @%s", coded(text), in.now.name, scriptName)
}

// coded begins an error with a code, as Redis does where it has none.
func coded(text string) string {
	code, _, _ := strings.Cut(text, " ")
	if code == strings.ToUpper(code) && code != "" {
		return text
	}
	return "ERR " + text
}
