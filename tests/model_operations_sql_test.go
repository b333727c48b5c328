package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

// modelAudit is a subsystem that logs changes of its own.
var modelAudit = fstest.MapFS{"00001_audit.sql": {Data: []byte(`
	CREATE TABLE audit_log (id TEXT PRIMARY KEY, at TEXT NOT NULL);
	CREATE TRIGGER audit_log_insert AFTER INSERT ON audit_log BEGIN
		INSERT INTO changes (subject, key, op, at) VALUES ('audit', NEW.id, 'put', NEW.at);
	END;`)}}

// sql gives do the transaction that x is in, or one of its own, which commits, and compares there what came of it.
func (x *modelCalls) sql(subject string, keys []string, do func(ctx context.Context, tx *registry.Tx)) {
	before := x.state.revision
	compared := func(ctx context.Context, tx *registry.Tx) error {
		do(ctx, tx)
		in := *x
		in.ctx, in.to = ctx, tx
		in.sameChanges(max(before, x.state.oldest()-1), math.MaxInt)
		for _, key := range keys {
			in.sameRow(row{subject, key})
		}
		return nil
	}
	if tx, ok := x.to.(*registry.Tx); ok {
		x.NoError(compared(x.ctx, tx))
		return
	}
	x.NoError(x.to.(*registry.Registry).Update(x.ctx, compared))
}

// modelUpdate is a statement that changes rows in whatever order it likes. ?1 is a time, and ?2 a list of keys.
type modelUpdate struct {
	subject, sql string
	// apply changes one of the rows in the model, as the statement does.
	apply func(m *modelState, key string, at time.Time)
}

var modelUpdates = []modelUpdate{
	{registry.SubjectModule, `UPDATE modules SET name = 'by SQL', updated_at = ?1
		WHERE id IN (SELECT value FROM json_each(?2))`,
		func(m *modelState, id string, at time.Time) {
			changed := m.modules[id]
			changed.Name = "by SQL"
			m.putModule(changed.ModuleMetadata, changed.State, at)
		}},
	{registry.SubjectModule, `UPDATE modules SET state = '"failed"', revision = 7
		WHERE ?1 <> '' AND id IN (SELECT value FROM json_each(?2))`,
		func(m *modelState, id string, _ time.Time) {
			m.putModule(m.modules[id].ModuleMetadata, registry.StateFailed, m.modules[id].UpdatedAt)
		}},
	{registry.SubjectConfig, `UPDATE config SET updated_at = ?1 WHERE key IN (SELECT value FROM json_each(?2))`,
		func(m *modelState, key string, at time.Time) { m.putConfig(key, m.config[key].value, at) }},
	{registry.SubjectConfig, `UPDATE config SET value = value WHERE ?1 <> '' AND key IN (SELECT value FROM json_each(?2))`,
		func(m *modelState, key string, _ time.Time) { m.putConfig(key, m.config[key].value, m.config[key].at) }},
}

// updateRows changes several rows in one statement. In which order is SQLite's to choose; the rows say it.
func (x *modelCalls) updateRows() row {
	u, keys, at := pickOne(x.random, modelUpdates), x.held(), x.tick()
	changed := keys[u.subject]
	x.say("%s, of %.40q", u.sql, changed)
	x.sql(u.subject, keys[""], func(ctx context.Context, tx *registry.Tx) {
		result, err := tx.ExecContext(ctx, u.sql, x.timeText(at), x.list(keys[""]))
		x.NoError(err)
		count, err := result.RowsAffected()
		x.NoError(err)
		x.EqualValues(len(changed), count)
		order := x.texts(ctx, tx, map[string]string{
			registry.SubjectModule: "SELECT id FROM modules WHERE revision > ? ORDER BY revision",
			registry.SubjectConfig: "SELECT key FROM config WHERE revision > ? ORDER BY revision",
		}[u.subject], x.state.revision)
		x.ElementsMatch(changed, order)
		for _, key := range order {
			u.apply(x.state, key, at)
		}
	})
	return row{u.subject, keys[""][0]}
}

// deleteRows deletes several rows in one statement. The log says in which order, but for those it no longer has.
func (x *modelCalls) deleteRows() row {
	subject, keys := pickOne(x.random, []string{registry.SubjectModule, registry.SubjectConfig}), x.held()
	changed := keys[subject]
	x.say("DELETE of each %s in %.40q", subject, changed)
	x.tick()
	x.sql(subject, keys[""], func(ctx context.Context, tx *registry.Tx) {
		result, err := tx.ExecContext(ctx, map[string]string{
			registry.SubjectModule: "DELETE FROM modules WHERE id IN (SELECT value FROM json_each(?))",
			registry.SubjectConfig: "DELETE FROM config WHERE key IN (SELECT value FROM json_each(?))",
		}[subject], x.list(keys[""]))
		x.NoError(err)
		count, err := result.RowsAffected()
		x.NoError(err)
		x.EqualValues(len(changed), count)
		logged := x.texts(ctx, tx, "SELECT key FROM changes WHERE revision > ? ORDER BY revision", x.state.revision)
		order := slices.DeleteFunc(slices.Clone(changed), func(key string) bool { return slices.Contains(logged, key) })
		order = append(order, logged...)
		x.ElementsMatch(changed, order)
		for _, key := range order {
			if subject == registry.SubjectModule {
				x.state.deleteModule(key)
			} else {
				x.state.deleteConfig(key)
			}
		}
	})
	return row{subject, keys[""][0]}
}

// held are a few keys, under the empty subject, and those of them that each table has, under its own.
func (x *modelCalls) held() map[string][]string {
	keys := map[string][]string{"": x.someKeys()}
	for _, key := range keys[""] {
		if _, exists := x.state.config[key]; exists {
			keys[registry.SubjectConfig] = append(keys[registry.SubjectConfig], key)
		}
		if _, exists := x.state.modules[key]; exists {
			keys[registry.SubjectModule] = append(keys[registry.SubjectModule], key)
		}
	}
	return keys
}

// insertRows writes rows that may be there already, as REPLACE does, or as oxide-k does, in the order of the statement. They
// may come twice.
func (x *modelCalls) insertRows() row {
	subject := registry.SubjectModule
	if !x.encrypted && x.chance(2) { // values are text for anybody
		subject = registry.SubjectConfig
	}
	insert, conflict, into := "INSERT", "", map[string]string{
		registry.SubjectModule: "modules (id, name, version, kind, state, description, updated_at)",
		registry.SubjectConfig: "config (key, value, updated_at)",
	}[subject]
	if x.chance(2) {
		insert = "INSERT OR REPLACE"
	} else {
		conflict = map[string]string{
			registry.SubjectModule: ` ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version,
				kind = excluded.kind, state = excluded.state, description = excluded.description, updated_at = excluded.updated_at`,
			registry.SubjectConfig: ` ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
		}[subject]
	}
	keys := x.someKeys()
	keys = append(keys, keys[0])
	var args []any
	var rows []string
	var puts []func()
	for _, key := range keys {
		at := x.tick()
		if subject == registry.SubjectConfig {
			value := x.jsonValue(2)
			rows, args = append(rows, "(?, ?, ?)"), append(args, key, value.text, x.timeText(at))
			puts = append(puts, func() { x.state.putConfig(key, value.text, at) })
			continue
		}
		m, s := x.metadata(key), pickOne(x.random, modelStates)
		rows = append(rows, "(?, ?, ?, ?, ?, ?, ?)")
		args = append(args, m.ID, m.Name, m.Version, m.Kind, s, m.Description, x.timeText(at))
		puts = append(puts, func() { x.state.putModule(m, s, at) })
	}
	x.say("%s INTO %s: %.40q", insert, into, keys)
	x.sql(subject, keys, func(ctx context.Context, tx *registry.Tx) {
		_, err := tx.ExecContext(ctx, insert+" INTO "+into+" VALUES "+strings.Join(rows, ", ")+conflict, args...)
		x.NoError(err)
		for _, put := range puts {
			put()
		}
	})
	return row{subject, keys[0]}
}

// insertAudited writes to the subsystem's table, whose trigger logs it.
func (x *modelCalls) insertAudited() row {
	at := x.tick()
	x.say("INSERT INTO audit_log")
	x.sql("", nil, func(ctx context.Context, tx *registry.Tx) {
		for range 1 + x.random.IntN(3) {
			x.audited++
			id := fmt.Sprint("audited ", x.audited)
			_, err := tx.ExecContext(ctx, "INSERT INTO audit_log (id, at) VALUES (?, ?)", id, x.timeText(at))
			x.NoError(err)
			x.state.change("audit", id, registry.OpPut, at)
		}
	})
	return row{}
}

// refusedStatement is one that the registry's own triggers undo; the transaction goes on.
func (x *modelCalls) refusedStatement() row {
	key := x.key()
	form := "enc:v1:00000000:AAAA"
	if x.encrypted {
		form = "1"
	}
	statement := pickOne(x.random, []string{
		"INSERT INTO changes (revision, subject, key, op, at) VALUES (1e9, 'config', ?1, 'put', ?2 || ?3)",
		"INSERT INTO config (key, value, updated_at) VALUES ('another ' || ?1, ?2, ?3), ('yet another ' || ?1, ?2, ?3)",
		"INSERT OR REPLACE INTO config (key, value, updated_at) VALUES (?1, ?2, ?3)",
		"INSERT INTO modules (id, name, version, kind, state, updated_at) VALUES (x'61', ?1, ?2, '\"wasm\"', '\"failed\"', ?3)",
		"UPDATE registry SET id = ?1 || ?2 || ?3",
		"DELETE FROM registry WHERE ?1 <> '' AND ?2 <> '' AND ?3 <> ''",
	})
	x.say("%s, of %.40q", statement, key)
	x.sql("", nil, func(ctx context.Context, tx *registry.Tx) {
		_, err := tx.ExecContext(ctx, statement, key, form, x.timeText(x.tick()))
		var detail *registry.Error
		x.ErrorAs(err, &detail)
	})
	return row{registry.SubjectConfig, key}
}

// query lists modules with SQL of its own.
func (x *modelCalls) query() {
	state := pickOne(x.random, modelStates)
	q, ok := x.to.(db.DBTX)
	if !ok {
		q = x.to.(*registry.Registry).ReadDB()
	}
	ids := x.texts(x.ctx, q, "SELECT id FROM modules WHERE state = ? ORDER BY id", state)
	want := x.state.listModules(func(m registry.ModuleRecord) bool { return m.State == state })
	x.Len(ids, len(want))
	for i := range ids {
		x.Equal(want[i].ID, ids[i])
	}
}

// texts are what a query gives.
func (x *modelCalls) texts(ctx context.Context, q db.DBTX, query string, args ...any) (texts []string) {
	rows, err := q.QueryContext(ctx, query, args...)
	x.NoError(err)
	defer rows.Close()
	for rows.Next() {
		var text string
		x.NoError(rows.Scan(&text))
		texts = append(texts, text)
	}
	x.NoError(rows.Err())
	return texts
}

// timeText is a time as some program may write it.
func (x *modelCalls) timeText(at time.Time) string {
	if x.chance(2) {
		at = at.In(time.FixedZone("", -5*60*60))
	}
	return at.Format(time.RFC3339Nano)
}

func (x *modelCalls) list(keys []string) string {
	text, err := json.Marshal(keys)
	x.NoError(err)
	return string(text)
}
