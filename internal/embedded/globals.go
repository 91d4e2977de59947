package embedded

import (
	luajson "github.com/alicebob/miniredis/v2/gopher-json"
	lua "github.com/yuin/gopher-lua"
)

// globals are what scripts find: Lua's base, table, string, math and coroutine,
// cjson and redis. Of what Redis has, bit, cmsgpack, struct and os are not there.
// A script reads them through tables that cannot be changed, so that it leaves
// nothing for the next one.
type globals struct {
	real   *lua.LTable // what there is, KEYS and ARGV among it
	locked map[*lua.LTable]struct{}
}

// withheld are functions of Lua that Redis gives to no script.
var withheld = []string{"dofile", "loadfile", "newproxy", "print", "setfenv", "getfenv", "require", "module"}

// newGlobals opens the libraries in a new state, and shows them to scripts.
func newGlobals(l *lua.LState, redis map[string]lua.LGFunction) *globals {
	g := &globals{real: l.G.Global, locked: make(map[*lua.LTable]struct{})}
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenTable, lua.OpenString, lua.OpenMath, lua.OpenCoroutine} {
		l.Push(l.NewFunction(open))
		l.Call(0, 0)
	}
	l.Push(l.NewFunction(luajson.Loader))
	l.Call(0, 1)
	g.real.RawSetString("cjson", l.Get(-1))
	l.Pop(1)
	api := l.SetFuncs(l.NewTable(), redis)
	for level, name := range []string{"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"} {
		api.RawSetString(name, lua.LNumber(level))
	}
	g.real.RawSetString("redis", api)
	for _, name := range withheld {
		g.real.RawSetString(name, lua.LNil)
	}
	for _, name := range []string{"string", "table", "math", "coroutine", "cjson", "redis"} {
		g.real.RawSetString(name, g.lock(l, g.real.RawGetString(name)))
	}
	g.real.RawSetString("rawset", l.NewFunction(g.rawset))
	unknown := l.NewTable()
	unknown.RawSetString("__index", l.NewFunction(func(l *lua.LState) int {
		l.RaiseError("Script attempted to access nonexistent global variable '%s'", l.Get(2).String())
		return 0
	}))
	l.SetMetatable(g.real, unknown)
	shown := g.lock(l, g.real)
	g.real.RawSetString("_G", shown)
	l.G.Global, l.Env = shown, shown
	return g
}

// lock returns a table through which another can be read and not changed.
func (g *globals) lock(l *lua.LState, what lua.LValue) *lua.LTable {
	locked, guard := l.NewTable(), l.NewTable()
	guard.RawSetString("__index", what)
	guard.RawSetString("__newindex", l.NewFunction(readonly))
	guard.RawSetString("__metatable", lua.LFalse) // nor taken off
	l.SetMetatable(locked, guard)
	g.locked[locked] = struct{}{}
	return locked
}

func readonly(l *lua.LState) int {
	l.RaiseError("Attempt to modify a readonly table")
	return 0
}

func (g *globals) rawset(l *lua.LState) int {
	table := l.CheckTable(1)
	if _, locked := g.locked[table]; locked {
		return readonly(l)
	}
	l.RawSet(table, l.CheckAny(2), l.CheckAny(3))
	l.Push(table)
	return 1
}
