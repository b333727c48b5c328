package tests

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// modelInvalid is a call that no registry takes, and the error that it gives.
type modelInvalid struct {
	name string
	want error
	call func(x *modelCalls, key string) error
}

var modelInvalids = []modelInvalid{
	invalidValue("NaN", registry.ErrEncode, math.NaN()),
	invalidValue("infinity in a list", registry.ErrEncode, []float64{1, math.Inf(1)}),
	invalidValue("channel", registry.ErrEncode, make(chan int)),
	invalidValue("function in a map", registry.ErrEncode, map[string]any{"f": func() {}}),
	invalidValue("text that is no UTF-8", registry.ErrEncode, "a\xffb"),
	invalidValue("key that is no UTF-8", registry.ErrEncode, map[string]int{"a\xff": 1}),
	invalidValue("JSON that is none", registry.ErrEncode, json.RawMessage("{")),
	invalidValue("a name twice", registry.ErrEncode, json.RawMessage(`{"a":1,"a":2}`)),
	invalidValue("half a surrogate pair", registry.ErrEncode, json.RawMessage(`["\ud800"]`)),
	invalidValue("value one byte too long", registry.ErrInvalid, strings.Repeat("x", modelMaxValue-1)),
	invalidCondition("negative revision", registry.IfRevision(-1)),
	invalidCondition("lowest revision", registry.IfRevision(math.MinInt64)),
	invalidCondition("two conditions", registry.IfRevision(0), registry.IfRevision(0)),
	invalidCondition("nil option", nil),
	invalidModule("unknown kind", func(m *registry.ModuleMetadata, _ *registry.ModuleState) { m.Kind = "rust" }),
	invalidModule("no kind", func(m *registry.ModuleMetadata, _ *registry.ModuleState) { m.Kind = "" }),
	invalidModule("name with NUL", func(m *registry.ModuleMetadata, _ *registry.ModuleState) { m.Name = "a\x00b" }),
	invalidModule("version that is no UTF-8", func(m *registry.ModuleMetadata, _ *registry.ModuleState) { m.Version = "\xff" }),
	invalidModule("description with NUL", func(m *registry.ModuleMetadata, _ *registry.ModuleState) {
		m.Description = new("\x00")
	}),
	invalidModule("unknown state", func(_ *registry.ModuleMetadata, s *registry.ModuleState) { *s = "sleeping" }),
	invalidModule("no state", func(_ *registry.ModuleMetadata, s *registry.ModuleState) { *s = "" }),
	{"SetModuleState to none there is", registry.ErrInvalid, func(x *modelCalls, key string) error {
		_, err := x.to.SetModuleState(x.ctx, key, "sleeping")
		return err
	}},
	{"TransitionModule from none there is", registry.ErrInvalid, func(x *modelCalls, key string) error {
		_, err := x.to.TransitionModule(x.ctx, key, "sleeping", registry.StateRunning)
		return err
	}},
	{"TransitionModule to none there is", registry.ErrInvalid, func(x *modelCalls, key string) error {
		_, err := x.to.TransitionModule(x.ctx, key, registry.StateRunning, "sleeping")
		return err
	}},
	{"SetModuleState at a negative revision", registry.ErrInvalid, func(x *modelCalls, key string) error {
		_, err := x.to.SetModuleState(x.ctx, key, registry.StateRunning, registry.IfRevision(-1))
		return err
	}},
	{"Modify without a function", registry.ErrInvalid, func(x *modelCalls, key string) error {
		_, err := registry.Modify[int](x.ctx, x.to, key, nil)
		return err
	}},
	{"GetConfig into no pointer", registry.ErrInvalid, func(x *modelCalls, key string) error {
		return x.to.GetConfig(x.ctx, key, 0)
	}},
	{"GetConfig into nil", registry.ErrInvalid, func(x *modelCalls, key string) error {
		return x.to.GetConfig(x.ctx, key, (*int)(nil))
	}},
	{"Changes after a negative revision", registry.ErrInvalid, func(x *modelCalls, _ string) error {
		_, err := x.to.Changes(x.ctx, -1, 1)
		return err
	}},
	{"no Changes at all", registry.ErrInvalid, func(x *modelCalls, _ string) error {
		_, err := x.to.Changes(x.ctx, 0, 0)
		return err
	}},
	{"ListConfig of half a rune", registry.ErrInvalid, func(x *modelCalls, _ string) error {
		_, err := x.to.ListConfig(x.ctx, "ключ"[:3])
		return err
	}},
	{"a context that has ended", context.Canceled, func(x *modelCalls, key string) error {
		ctx, cancel := context.WithCancel(x.ctx)
		cancel()
		_, err := x.to.SetConfig(ctx, key, 1)
		return err
	}},
}

// invalidValue is a value that SetConfig refuses.
func invalidValue(name string, want error, value any) modelInvalid {
	return modelInvalid{"SetConfig: " + name, want, func(x *modelCalls, key string) error {
		_, err := x.to.SetConfig(x.ctx, key, value)
		return err
	}}
}

// invalidCondition is a condition that SetConfig refuses.
func invalidCondition(name string, opts ...registry.WriteOption) modelInvalid {
	return modelInvalid{"SetConfig: " + name, registry.ErrInvalid, func(x *modelCalls, key string) error {
		_, err := x.to.SetConfig(x.ctx, key, 1, opts...)
		return err
	}}
}

// invalidModule is a module that UpsertModule refuses, for one thing.
func invalidModule(name string, spoil func(*registry.ModuleMetadata, *registry.ModuleState)) modelInvalid {
	return modelInvalid{"UpsertModule: " + name, registry.ErrInvalid, func(x *modelCalls, key string) error {
		m, s := x.metadata(key), registry.StateRunning
		spoil(&m, &s)
		_, err := x.to.UpsertModule(x.ctx, m, s)
		return err
	}}
}

// invalid makes a call that is refused: with a key that may be, or, where nothing else is wrong, with one that may not.
func (x *modelCalls) invalid() row {
	x.tick()
	key := x.key()
	if x.chance(3) {
		call := pickOne(x.random, slices.Sorted(maps.Keys(keyCalls)))
		keys := slices.Sorted(maps.Values(impossibleKeys))
		if slices.Contains(writeCalls, call) {
			keys = append(keys, slices.Sorted(maps.Values(oddKeys))...)
		}
		impossible := pickOne(x.random, keys)
		x.say("%s of the key %.40q", call, impossible)
		x.isTyped(keyCalls[call](x.ctx, x.to, impossible), registry.ErrInvalid)
	} else {
		i := pickOne(x.random, modelInvalids)
		x.say("%s, of %.40q", i.name, key)
		x.isTyped(i.call(x, key), i.want)
	}
	return row{pickOne(x.random, []string{registry.SubjectConfig, registry.SubjectModule}), key}
}
