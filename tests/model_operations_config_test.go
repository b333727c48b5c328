package tests

import (
	"context"
	"encoding/json"
	"errors"
	"math"

	"github.com/oxide-k/stateregistry/registry"
)

// errOwn is a callback's own error.
var errOwn = errors.New("the callback's own")

func (x *modelCalls) setConfig() row {
	key, value, at := x.key(), x.jsonValue(3), x.tick()
	current := x.state.config[key].revision
	cond := x.condition(current)
	x.say("SetConfig %.40q = %.60s%s", key, value.text, cond.text)
	revision, err := x.to.SetConfig(x.ctx, key, value.value, cond.opts...)
	switch {
	case !cond.met:
		x.meet("SetConfig: conflict")
		x.refused(err, key, current)
		x.Zero(revision)
	case current == 0:
		x.meet("SetConfig: created")
	default:
		x.meet("SetConfig: replaced")
	}
	if cond.met {
		x.NoError(err)
		x.Equal(x.state.putConfig(key, value.text, at), revision)
	}
	return row{registry.SubjectConfig, key}
}

func (x *modelCalls) deleteConfig() row {
	at := row{registry.SubjectConfig, heldKey(x.modelRun, x.state.config)}
	return x.deleteRow("DeleteConfig", at, x.state.config[at.key].revision, x.to.DeleteConfig, x.state.deleteConfig)
}

// deleteRow deletes an entry or a module, in the registry and in the model.
func (x *modelCalls) deleteRow(
	name string, at row, current int64,
	remove func(context.Context, string, ...registry.WriteOption) (bool, error), inModel func(string) bool,
) row {
	cond := x.condition(current)
	x.say("%s %.40q%s", name, at.key, cond.text)
	deleted, err := remove(x.ctx, at.key, cond.opts...)
	if !cond.met {
		x.meet(name + ": conflict")
		x.refused(err, at.key, current)
		x.False(deleted)
		return at
	}
	x.NoError(err)
	x.Equal(inModel(at.key), deleted)
	if !deleted {
		x.meet(name + ": nothing")
	}
	return at
}

func (x *modelCalls) modify() row {
	key, next, at := x.key(), x.jsonValue(3), x.tick()
	current, exists := x.state.config[key]
	fate := pickOne(x.random, []string{"succeeds", "succeeds", "succeeds", "failed", "not encoded", "panicked"})
	x.say("Modify %.40q to %.60s, which %s", key, next.text, fate)
	calls := 0
	modify := func() (json.RawMessage, error) {
		return registry.Modify(x.ctx, x.to, key, func(found json.RawMessage, exists bool) (json.RawMessage, error) {
			calls++
			_, known := x.state.config[key]
			x.Equal(known, exists)
			x.Equal(current.value, string(found))
			switch fate {
			case "failed":
				return json.RawMessage(next.text), errOwn
			case "not encoded":
				return json.RawMessage("{"), nil
			case "panicked":
				panic(errOwn)
			}
			return json.RawMessage(next.text), nil
		})
	}
	if fate == "panicked" {
		x.PanicsWithValue(errOwn, func() { _, _ = modify() })
	} else {
		got, err := modify()
		switch fate {
		case "failed":
			x.True(err == errOwn, "%v", err)
			x.Nil(got)
		case "not encoded":
			x.isTyped(err, registry.ErrEncode)
			x.Nil(got)
		default:
			x.NoError(err)
			x.Equal(next.text, string(got))
			x.state.putConfig(key, next.text, at)
		}
	}
	x.Equal(1, calls)
	switch {
	case fate != "succeeds":
		x.meet("Modify: " + fate)
	case !exists:
		x.meet("Modify: created")
	}
	return row{registry.SubjectConfig, key}
}

// modifyInt adds one.
func (x *modelCalls) modifyInt() row {
	key, at := heldKey(x.modelRun, x.state.config), x.tick()
	current, exists := x.state.config[key]
	x.say("Modify %.40q: %.60s plus one", key, current.value)
	n, fits := asInt(current.value)
	calls := 0
	got, err := registry.Modify(x.ctx, x.to, key, func(found int64, exists bool) (int64, error) {
		calls++
		x.Equal(n, found)
		return found + 1, nil
	})
	if exists && !fits {
		x.meet("Modify: another type")
		x.isTyped(err, registry.ErrDecode)
		x.Zero(calls)
		return row{registry.SubjectConfig, key}
	}
	x.NoError(err)
	x.Equal(n+1, got)
	x.Equal(1, calls)
	text, err := json.Marshal(n + 1)
	x.NoError(err)
	x.state.putConfig(key, string(text), at)
	return row{registry.SubjectConfig, key}
}

func (x *modelCalls) get() {
	key := heldKey(x.modelRun, x.state.config)
	want, exists := x.state.config[key]
	got, err := registry.Get[json.RawMessage](x.ctx, x.to, key)
	if !exists {
		x.meet("Get: not found")
		x.isTyped(err, registry.ErrConfigNotFound)
		x.Nil(got)
		return
	}
	x.NoError(err)
	x.Equal(want.value, string(got), "%q", key)
}

func (x *modelCalls) getInt() {
	key := heldKey(x.modelRun, x.state.config)
	want, exists := x.state.config[key]
	got, err := registry.Get[int64](x.ctx, x.to, key)
	n, fits := asInt(want.value)
	switch {
	case !exists:
		x.isTyped(err, registry.ErrConfigNotFound)
		x.Zero(got)
	case !fits:
		x.meet("Get: another type")
		x.isTyped(err, registry.ErrDecode)
		x.Zero(got)
	default:
		x.NoError(err)
		x.Equal(n, got, "%q", key)
	}
}

func (x *modelCalls) tryGet() {
	key := x.key()
	want, exists := x.state.config[key]
	got, found, err := registry.TryGet[json.RawMessage](x.ctx, x.to, key)
	x.NoError(err)
	x.Equal(exists, found)
	x.Equal(want.value, string(got), "%q", key)
}

func (x *modelCalls) getAny() {
	key := heldKey(x.modelRun, x.state.config)
	entry, exists := x.state.config[key]
	if !exists {
		x.isTyped(x.to.GetConfig(x.ctx, key, new(any)), registry.ErrConfigNotFound)
		return
	}
	var got, want any
	x.NoError(x.to.GetConfig(x.ctx, key, &got))
	x.NoError(json.Unmarshal([]byte(entry.value), &want))
	x.Equal(want, got, "%q", key)
}

func (x *modelCalls) listConfig() { x.sameConfig(x.prefix()) }

// changes asks at a random place, often where the log begins or ends.
func (x *modelCalls) changes() {
	oldest, newest := x.state.oldest(), x.state.revision
	after := max(0, pickOne(x.random, []int64{
		0, oldest - 3, oldest - 2, oldest - 1, oldest, newest - 1, newest, newest + 1, math.MaxInt64,
		x.random.Int64N(newest + 1), oldest + x.random.Int64N(newest-oldest+2),
	}))
	x.sameChanges(after, pickOne(x.random, []int{1, 2, 1 + x.random.IntN(100), math.MaxInt}))
}
