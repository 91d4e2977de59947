package embedded

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

// commands are what a script finds under redis (Redis, "Lua API reference"): all that answers a caller.
func (in *interpreter) commands() *lua.LTable {
	return in.state.SetFuncs(in.state.NewTable(), map[string]lua.LGFunction{
		"call": func(l *lua.LState) int {
			reply, err := in.call(l)
			if err != nil {
				l.Error(failed(l, err.Error()), 1)
			}
			l.Push(value(l, reply))
			return 1
		},
		"pcall": func(l *lua.LState) int {
			reply, err := in.call(l)
			if err != nil {
				l.Push(failed(l, err.Error()))
				return 1
			}
			l.Push(value(l, reply))
			return 1
		},
		"error_reply": func(l *lua.LState) int {
			l.Push(failed(l, l.CheckString(1)))
			return 1
		},
		"status_reply": func(l *lua.LState) int {
			l.Push(status(l, l.CheckString(1)))
			return 1
		},
		"sha1hex": func(l *lua.LState) int {
			l.Push(lua.LString(name(l.CheckString(1))))
			return 1
		},
	})
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
	if in.now.readOnly && in.writes(args[0]) {
		return nil, errors.New("ERR Write commands are not allowed from read-only scripts.")
	}
	in.answers.Reset()
	in.server.Dispatch(in.caller, args)
	in.caller.Flush()
	in.reader.Reset(&in.answers)
	if reply, err = server.ParseReply(in.reader); err != nil {
		if code, _, _ := strings.Cut(err.Error(), " "); code != strings.ToUpper(code) {
			err = fmt.Errorf("ERR %w", err) // miniredis leaves it out where a command is not for scripts
		}
	}
	return reply, err
}

// writes says that a command may write. miniredis 2.40 says it of TIME, and no other server does.
func (in *interpreter) writes(command string) bool {
	return in.server.IsRegisteredCommand(command) && !in.server.IsReadOnlyCommand(command) && !strings.EqualFold(command, "TIME")
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
		return status(l, string(reply))
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

// answer gives a script's value to who ran it ("Lua to RESP2 type conversion").
func answer(peer *server.Peer, value lua.LValue) {
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
		answerTable(peer, value)
	default:
		peer.WriteNull()
	}
}

func answerTable(peer *server.Peer, table *lua.LTable) {
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
		answer(peer, table.RawGetInt(i+1))
	}
}

func failed(l *lua.LState, text string) *lua.LTable { return single(l, "err", text) }
func status(l *lua.LState, text string) *lua.LTable { return single(l, "ok", text) }

func single(l *lua.LState, field, text string) *lua.LTable {
	table := l.CreateTable(0, 1)
	table.RawSetString(field, lua.LString(text))
	return table
}
