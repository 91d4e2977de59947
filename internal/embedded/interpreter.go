package embedded

import (
	"bufio"
	"bytes"
	"fmt"
	"reflect"

	luajson "github.com/alicebob/miniredis/v2/gopher-json"
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
	keys, args []string
}

// newInterpreter builds an interpreter with the libraries that miniredis gives to scripts.
func newInterpreter(srv *server.Server) (*interpreter, error) {
	in := &interpreter{
		state:  lua.NewState(lua.Options{SkipOpenLibs: true, RegistrySize: luaValues}),
		server: srv,
	}
	in.caller, in.reader = server.NewPeer(bufio.NewWriter(&in.answers)), bufio.NewReader(&in.answers)
	inside, err := lookInside(srv)
	if err != nil {
		return nil, err
	}
	in.inside = inside
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenTable, lua.OpenString, lua.OpenMath} {
		in.state.Push(in.state.NewFunction(open))
		in.state.Call(0, 0)
	}
	in.state.Push(in.state.NewFunction(luajson.Loader))
	in.state.Call(0, 1)
	in.state.SetGlobal("cjson", in.state.Get(-1))
	in.state.Pop(1)
	in.state.SetGlobal("redis", in.commands())
	in.guard()
	return in, nil
}

// lookInside has miniredis run a script of its own, and keeps what it hands to the commands in it. A command that is
// given that takes no lock: the script has it.
func lookInside(srv *server.Server) (inside reflect.Value, err error) {
	const look = "KELISIM.LOOK"
	if err := srv.Register(look, func(peer *server.Peer, _ string, _ []string) {
		inside = reflect.ValueOf(peer.Ctx)
		peer.WriteOK()
	}); err != nil {
		return inside, err
	}
	var answer bytes.Buffer
	peer := server.NewPeer(bufio.NewWriter(&answer))
	srv.Dispatch(peer, []string{"EVAL", "return redis.call('" + look + "')", "0"})
	peer.Flush()
	if inside.Kind() != reflect.Pointer {
		return inside, fmt.Errorf("a script's connection: %q", answer.String())
	}
	return inside, nil
}

// guard refuses globals that a script would leave for the next one.
func (in *interpreter) guard() {
	guard := in.state.NewTable()
	guard.RawSetString("__newindex", in.state.NewFunction(func(l *lua.LState) int {
		l.RaiseError("Attempt to modify a readonly table")
		return 0
	}))
	guard.RawSetString("__index", in.state.NewFunction(func(l *lua.LState) int {
		l.RaiseError("Script attempted to access nonexistent global variable '%s'", l.Get(2).String())
		return 0
	}))
	in.state.SetMetatable(in.state.Get(lua.GlobalsIndex), guard)
}

// run runs a script and answers peer with what it returns.
func (in *interpreter) run(peer *server.Peer, inv invocation) {
	in.now = inv
	fresh := reflect.New(in.inside.Type().Elem()) // a script may change it: SELECT
	fresh.Elem().Set(in.inside.Elem())
	in.caller.Ctx = fresh.Interface()
	globals := in.state.Get(lua.GlobalsIndex).(*lua.LTable) //nolint:forcetypeassert // it is one
	globals.RawSetString("KEYS", in.list(inv.keys))
	globals.RawSetString("ARGV", in.list(inv.args))
	in.state.Push(in.state.NewFunctionFromProto(inv.script))
	if err := in.state.PCall(0, 1, nil); err != nil {
		peer.WriteError(in.failure(err))
		return
	}
	answer(peer, in.state.Get(-1))
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
	text := "ERR " + err.Error()
	if api, ok := err.(*lua.ApiError); ok { //nolint:errorlint // gopher-lua does not wrap it
		text = "ERR " + api.Object.String()
		if table, ok := api.Object.(*lua.LTable); ok {
			text = table.RawGetString("err").String()
		}
	}
	return fmt.Sprintf("%s script: %s, on @%s", text, in.now.name, scriptName)
}
