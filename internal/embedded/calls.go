package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

// notForScripts are commands that Redis refuses to scripts (its flag noscript) or does not let wait in them, of those that
// miniredis has. To wait is to give up the lock, and let another script in.
var notForScripts = set("AUTH", "BLMOVE", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "CLIENT", "CONFIG", "DISCARD", "EVAL",
	"EVALSHA", "EVALSHA_RO", "EVAL_RO", "EXEC", "HELLO", "MULTI", "PSUBSCRIBE", "PUNSUBSCRIBE", "QUIT", "SCRIPT", "SUBSCRIBE", "UNSUBSCRIBE",
	"UNWATCH", "WAIT", "WATCH")

// neitherNor are commands that do not write and that miniredis does not know to only read.
var neitherNor = set("ECHO", "MEMORY", "OBJECT", "PING", "SELECT", "TIME", "XINFO")

func set(names ...string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}

// commands are what a script finds under redis (Redis, "Lua API reference"), but for setresp and what concerns replicas
// and debugging.
func (in *interpreter) commands() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"call": func(l *lua.LState) int {
			reply, err := in.call(l)
			if err != nil {
				l.Error(lua.LString(err.Error()), 0)
			}
			l.Push(value(l, reply))
			return 1
		},
		"pcall": func(l *lua.LState) int {
			reply, err := in.call(l)
			if err != nil {
				l.Push(single(l, "err", err.Error()))
				return 1
			}
			l.Push(value(l, reply))
			return 1
		},
		"error_reply": func(l *lua.LState) int {
			text := text(l)
			if strings.HasPrefix(text, "-") {
				text = text[1:]
			} else if !strings.Contains(text, " ") {
				text = "ERR " + text
			}
			l.Push(single(l, "err", text))
			return 1
		},
		"status_reply": func(l *lua.LState) int {
			l.Push(single(l, "ok", text(l)))
			return 1
		},
		"sha1hex": func(l *lua.LState) int {
			l.Push(lua.LString(name(l.CheckString(1))))
			return 1
		},
		"log": func(*lua.LState) int { return 0 }, // there is no log
		"replicate_commands": func(l *lua.LState) int {
			l.Push(lua.LTrue)
			return 1
		},
	}
}

// text is the only argument of a function that wants one text.
func text(l *lua.LState) string {
	text, ok := l.Get(1).(lua.LString)
	if !ok || l.GetTop() != 1 {
		l.Error(lua.LString("ERR wrong number or type of arguments"), 0)
	}
	return string(text)
}

// call has miniredis carry out the command that a script asks for.
func (in *interpreter) call(l *lua.LState) (reply any, err error) {
	if l.GetTop() == 0 {
		return nil, errors.New("ERR Please specify at least one argument for this redis.call()")
	}
	args := make([]string, l.GetTop())
	for i := range args {
		switch arg := l.Get(i + 1).(type) {
		case lua.LString, lua.LNumber:
			args[i] = arg.String()
		default:
			return nil, errors.New("ERR Lua redis lib command arguments must be strings or integers")
		}
	}
	if err := in.admit(args); err != nil {
		return nil, err
	}
	in.answers.Reset()
	in.server.Dispatch(in.caller, args)
	in.caller.Flush()
	in.reader.Reset(&in.answers)
	return server.ParseReply(in.reader)
}

// admit refuses what the script that runs may not call.
func (in *interpreter) admit(args []string) error {
	command := strings.ToUpper(args[0])
	waits := strings.HasPrefix(command, "XREAD") && slices.ContainsFunc(args, func(arg string) bool { return strings.EqualFold(arg, "BLOCK") })
	switch {
	case !in.server.IsRegisteredCommand(command):
		return errors.New("ERR Unknown Redis command called from script")
	case notForScripts[command], waits:
		return errors.New("ERR This Redis command is not allowed from script")
	case in.now.readOnly && !in.server.IsReadOnlyCommand(command) && !neitherNor[command]:
		return errors.New("ERR Write commands are not allowed from read-only scripts.")
	}
	return nil
}

// value is what a reply is in Lua ("RESP2 to Lua type conversion").
func value(l *lua.LState, reply any) lua.LValue {
	switch reply := reply.(type) {
	case nil:
		return lua.LFalse
	case int:
		return lua.LNumber(reply)
	case string:
		return lua.LString(reply)
	case server.Simple:
		return single(l, "ok", string(reply))
	case []any:
		list := l.CreateTable(len(reply), 0)
		for i, element := range reply {
			list.RawSetInt(i+1, value(l, element))
		}
		return list
	default:
		panic(fmt.Sprintf("embedded redis: a reply of type %T", reply)) // ParseReply knows no other
	}
}

// deepest is how deep tables may stand in each other in an answer: one that holds itself has no end. Redis gives up where
// its stack is full.
const deepest = 100

// answer gives a script's value to who ran it ("Lua to RESP2 type conversion").
func answer(peer *server.Peer, value lua.LValue, depth int) {
	switch value := value.(type) {
	case lua.LString:
		peer.WriteBulk(string(value))
	case lua.LNumber:
		peer.WriteInt(int(value))
	case lua.LBool:
		if !value {
			peer.WriteNull()
			return
		}
		peer.WriteInt(1)
	case *lua.LTable:
		answerTable(peer, value, depth)
	default:
		peer.WriteNull()
	}
}

func answerTable(peer *server.Peer, table *lua.LTable, depth int) {
	if depth > deepest {
		peer.WriteError("ERR reached lua stack limit")
		return
	}
	if text, ok := table.RawGetString("err").(lua.LString); ok {
		peer.WriteError(string(text))
		return
	}
	if text, ok := table.RawGetString("ok").(lua.LString); ok {
		peer.WriteInline(string(text))
		return
	}
	length := 0
	for table.RawGetInt(length+1) != lua.LNil {
		length++
	}
	peer.WriteLen(length)
	for i := range length {
		answer(peer, table.RawGetInt(i+1), depth+1)
	}
}

func single(l *lua.LState, field, text string) *lua.LTable {
	table := l.CreateTable(0, 1)
	table.RawSetString(field, lua.LString(text))
	return table
}
