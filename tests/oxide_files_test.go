package tests

import "strings"

// oxideFile makes a database of oxide-k's that the mode opens as it is: encrypted, one without config entries.
func (s *fileSuite) oxideFile(path string) {
	s.T().Helper()
	copyFile(s.T(), oxidePlain, path)
	if s.mode.encrypted() {
		sqliteExec(s.T(), path, "DELETE FROM config", "VACUUM")
	}
}

// oxideFileRows is how many rows it holds.
func (s *fileSuite) oxideFileRows() int {
	if s.mode.encrypted() {
		return 6
	}
	return oxideRows
}

// requireOxideFile fails unless the file holds what oxideFile put there, column for column.
func (s *fileSuite) requireOxideFile(path string) {
	s.T().Helper()
	rows := 0
	for _, query := range []string{
		"SELECT id, name, version, kind, state, description, updated_at FROM modules ORDER BY id",
		"SELECT key, value, updated_at FROM config ORDER BY key",
	} {
		want := sqliteRows(s.T(), oxidePlain, query)
		if s.mode.encrypted() && strings.HasSuffix(query, "key") {
			want = nil
		}
		s.Require().Equal(want, sqliteRows(s.T(), path, query))
		rows += len(want)
	}
	s.Require().Equal(s.oxideFileRows(), rows)
}
