package schema

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// timestampLayout is RFC 3339 in UTC, fixed width: text order is time order, and oxide-k (chrono) parses it.
const timestampLayout = "2006-01-02T15:04:05.000000000+00:00"

// sqliteLayout is what SQLite's own datetime() and CURRENT_TIMESTAMP give, always UTC (sqlite.org/lang_datefunc.html).
const sqliteLayout = "2006-01-02 15:04:05"

// Timestamp is a moment, stored as RFC 3339 text in UTC with nine fractional digits and the offset +00:00. It reads any
// RFC 3339 text, and what SQLite's own date functions write.
type Timestamp struct {
	Time time.Time // in UTC; zero where the column held NULL or text that is no time
	Text string    // what the column held, where that is no time
}

// NewTimestamp is t, in UTC and without its monotonic clock reading.
func NewTimestamp(t time.Time) Timestamp { return Timestamp{Time: t.UTC().Round(0)} }

// Valid reports whether the timestamp is a moment: not NULL, not text that could not be read, not the zero value.
func (t Timestamp) Valid() bool { return !t.Time.IsZero() }

// Scan reads a column. Text that is no time is kept in Text: one bad row must not hide the others.
func (t *Timestamp) Scan(src any) error {
	text, err := columnText(src)
	if err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	*t = Timestamp{}
	for _, layout := range []string{time.RFC3339Nano, sqliteLayout} {
		if at, err := time.Parse(layout, text); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	t.Text = text
	return nil
}

// Validate returns the error that Value would: the timestamp is not Valid, or its year is not one from 0 to 9999 and has no
// such form.
func (t Timestamp) Validate() error {
	if !t.Valid() {
		return fmt.Errorf("timestamp %q is no time", t.Text)
	}
	if year := t.Time.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("timestamp: year %d has no RFC 3339 form", year)
	}
	return nil
}

// Value is the timestamp as the column stores it, or the error of Validate.
func (t Timestamp) Value() (driver.Value, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return t.Time.UTC().Format(timestampLayout), nil
}
