package tests

import (
	"errors"
	"strconv"

	"github.com/oxide-k/stateregistry/registry"
)

const modelDefault = 7

var errModelThree = errors.New("three divides it")

// setting is a config key as a setting: a number that three does not divide.
func setting(key string) registry.Setting[int64] {
	return registry.Setting[int64]{Name: key, Default: modelDefault, Validate: func(n int64) error {
		if n%3 == 0 {
			return errModelThree
		}
		return nil
	}}
}

// settingValue is what a setting is, and whether it is readable.
func (x *modelCalls) settingValue(key string) (n int64, ok bool) {
	current, exists := x.state.config[key]
	if !exists {
		x.meet("Setting: the default")
		return modelDefault, true
	}
	n, fits := asInt(current.value)
	switch {
	case !fits:
		x.meet("Setting: does not fit")
		return 0, false
	case n%3 == 0:
		x.meet("Setting: not valid")
		return 0, false
	}
	return n, true
}

func (x *modelCalls) getSetting() {
	key := heldKey(x.modelRun, x.state.config)
	n, ok := x.settingValue(key)
	got, err := setting(key).Get(x.ctx, x.to)
	if !ok {
		x.isTyped(err, registry.ErrDecode)
	} else {
		x.NoError(err)
	}
	x.Equal(n, got)
}

func (x *modelCalls) setSetting() row {
	key, n, at := x.key(), x.random.Int64N(1000), x.tick()
	x.say("Setting.Set %.40q = %d", key, n)
	revision, err := setting(key).Set(x.ctx, x.to, n)
	if n%3 == 0 {
		x.isTyped(err, registry.ErrInvalid)
		x.ErrorIs(err, errModelThree)
		x.Zero(revision)
		return row{registry.SubjectConfig, key}
	}
	x.NoError(err)
	x.Equal(x.state.putConfig(key, strconv.FormatInt(n, 10), at), revision)
	return row{registry.SubjectConfig, key}
}

func (x *modelCalls) modifySetting() row {
	key, at := heldKey(x.modelRun, x.state.config), x.tick()
	n, ok := x.settingValue(key)
	x.say("Setting.Modify %.40q: %d plus one", key, n)
	got, err := setting(key).Modify(x.ctx, x.to, func(found int64) (int64, error) {
		x.True(ok)
		x.Equal(n, found)
		return found + 1, nil
	})
	switch {
	case !ok:
		x.isTyped(err, registry.ErrDecode)
		x.Zero(got)
	case (n+1)%3 == 0:
		x.isTyped(err, registry.ErrInvalid)
		x.Zero(got)
	default:
		x.NoError(err)
		x.Equal(n+1, got)
		x.state.putConfig(key, strconv.FormatInt(n+1, 10), at)
	}
	return row{registry.SubjectConfig, key}
}

func (x *modelCalls) deleteSetting() row {
	key := heldKey(x.modelRun, x.state.config)
	x.say("Setting.Delete %.40q", key)
	deleted, err := setting(key).Delete(x.ctx, x.to)
	x.NoError(err)
	x.Equal(x.state.deleteConfig(key), deleted)
	return row{registry.SubjectConfig, key}
}
