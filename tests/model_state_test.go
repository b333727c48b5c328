package tests

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// modelState is what a registry holds, as simply as it can be said.
type modelState struct {
	config   map[string]modelEntry
	modules  map[string]registry.ModuleRecord
	revision int64
	log      []registry.Change // what is left of it. SQLite times deletions: the model has no time for them
	limit    int64             // how many changes the log keeps at least
}

type modelEntry struct {
	value    string // JSON
	revision int64
	at       time.Time
}

// clone is a copy that later changes do not reach.
func (m *modelState) clone() *modelState {
	c := *m
	c.config, c.modules, c.log = maps.Clone(m.config), maps.Clone(m.modules), slices.Clone(m.log)
	return &c
}

// change is the next revision, of a row that changed. Where 64 divides it the log is cut to its limit.
func (m *modelState) change(subject, key string, op registry.Op, at time.Time) int64 {
	m.revision++
	m.log = append(m.log, registry.Change{Revision: m.revision, Subject: subject, Key: key, Op: op, At: at})
	if m.revision%64 == 0 {
		for m.log[0].Revision <= m.revision-m.limit {
			m.log = m.log[1:]
		}
	}
	return m.revision
}

func (m *modelState) putConfig(key, value string, at time.Time) int64 {
	revision := m.change(registry.SubjectConfig, key, registry.OpPut, at)
	m.config[key] = modelEntry{value: value, revision: revision, at: at}
	return revision
}

func (m *modelState) deleteConfig(key string) bool {
	if _, exists := m.config[key]; !exists {
		return false
	}
	delete(m.config, key)
	m.change(registry.SubjectConfig, key, registry.OpDelete, time.Time{})
	return true
}

func (m *modelState) putModule(meta registry.ModuleMetadata, s registry.ModuleState, at time.Time) int64 {
	revision := m.change(registry.SubjectModule, meta.ID, registry.OpPut, at)
	m.modules[meta.ID] = registry.ModuleRecord{ModuleMetadata: meta, State: s, UpdatedAt: at, Revision: revision}
	return revision
}

func (m *modelState) deleteModule(id string) bool {
	if _, exists := m.modules[id]; !exists {
		return false
	}
	delete(m.modules, id)
	m.change(registry.SubjectModule, id, registry.OpDelete, time.Time{})
	return true
}

// keys are the keys that start with prefix, in the order of their bytes.
func (m *modelState) keys(prefix string) (keys []string) {
	for key := range m.config {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// listModules are the modules that pass, in the order of their ids' bytes.
func (m *modelState) listModules(pass func(registry.ModuleRecord) bool) []registry.ModuleRecord {
	list := []registry.ModuleRecord{}
	for _, id := range slices.Sorted(maps.Keys(m.modules)) {
		if pass(m.modules[id]) {
			list = append(list, m.modules[id])
		}
	}
	return list
}

// oldest is the first revision that the log still has, or the one to come.
func (m *modelState) oldest() int64 {
	if len(m.log) == 0 {
		return m.revision + 1
	}
	return m.log[0].Revision
}

// changes are those that follow a revision; not ok where the log does not tell.
func (m *modelState) changes(after int64, limit int) (changes []registry.Change, ok bool) {
	if after > m.revision || after+1 < m.oldest() {
		return nil, false
	}
	for _, c := range m.log {
		if c.Revision > after && len(changes) < limit {
			changes = append(changes, c)
		}
	}
	return changes, true
}

// asInt is the JSON value as an int64: null is no value, and whatever is no whole number does not fit.
func asInt(text string) (n int64, fits bool) {
	if text == "null" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
