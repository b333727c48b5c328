package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"path/filepath"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// gormStore uses gorm over the same two pools as hand-written SQL does, and without the transaction that gorm puts around a
// single statement: its users' best case.
type gormStore[T any] struct {
	writer, reader *gorm.DB
	close          func() error
}

// gormConfig is the config table; gorm keeps UpdatedAt by itself.
type gormConfig struct {
	Key       string `gorm:"primaryKey"`
	Value     string
	UpdatedAt time.Time
	Revision  int64
}

func (gormConfig) TableName() string { return "config" }

func openGorm[T any](ctx context.Context, dir string) (store[T], error) {
	writerDSN, readerDSN := mattnDSNs(filepath.Join(dir, "config.db"))
	writer, reader, err := openPools(ctx, "sqlite3", writerDSN, readerDSN)
	if err != nil {
		return nil, err
	}
	s := &gormStore[T]{close: func() error { return errors.Join(reader.Close(), writer.Close()) }}
	settings := &gorm.Config{SkipDefaultTransaction: true, Logger: logger.Discard}
	if s.writer, err = gorm.Open(sqlite.New(sqlite.Config{Conn: writer}), settings); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// The reader needs a file that is there: gorm asks it for the SQLite version at once.
	if err := s.writer.WithContext(ctx).AutoMigrate(&gormConfig{}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.reader, err = gorm.Open(sqlite.New(sqlite.Config{Conn: reader}), settings); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *gormStore[T]) Read(ctx context.Context, key string) (value T, err error) {
	var row gormConfig
	if err := s.reader.WithContext(ctx).Take(&row, "key = ?", key).Error; err != nil {
		return value, err
	}
	err = json.Unmarshal([]byte(row.Value), &value)
	return value, err
}

// gormUpsert is the upsert of hand-written SQL.
func gormUpsert() clause.OnConflict {
	updates := clause.AssignmentColumns([]string{"value", "updated_at"})
	return clause.OnConflict{
		Columns:   []clause.Column{{Name: "key"}},
		DoUpdates: append(updates, clause.Assignments(map[string]any{"revision": gorm.Expr("revision + 1")})...),
	}
}

func (s *gormStore[T]) Write(ctx context.Context, key string, value T) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	row := gormConfig{Key: key, Value: string(text), Revision: 1}
	return s.writer.WithContext(ctx).Clauses(gormUpsert()).Create(&row).Error
}

func (s *gormStore[T]) List(ctx context.Context, prefix string, visit func(string, T)) error {
	var rows []gormConfig
	err := s.reader.WithContext(ctx).Where("key >= ? AND key < ?", prefix, prefix+"\xff").Order("key").Find(&rows).Error
	if err != nil {
		return err
	}
	for _, row := range rows {
		var value T
		if err := json.Unmarshal([]byte(row.Value), &value); err != nil {
			return err
		}
		visit(row.Key, value)
	}
	return nil
}

// gormRows are as many as fit into one statement's parameters.
const gormRows = 1000

func (s *gormStore[T]) Fill(ctx context.Context, entries iter.Seq2[string, T]) error {
	for batch := range batches(entries) {
		rows := make([]gormConfig, len(batch))
		for i, e := range batch {
			text, err := json.Marshal(e.value)
			if err != nil {
				return err
			}
			rows[i] = gormConfig{Key: e.key, Value: string(text), Revision: 1}
		}
		err := s.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			return tx.CreateInBatches(rows, gormRows).Error
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *gormStore[T]) Close() error { return s.close() }
