package sqlite

// A stranger's trigger that a privileged statement sets off may do what the statement may, and no more.
func (s *databaseSuite) TestRightsAreForOneActionOnOneTable() {
	settings := s.settings
	settings.Private = []string{"t", "u"}
	s.exec(s.writer, "CREATE TABLE u (a)")
	writer, err := OpenWriter(s.T().Context(), settings, short)
	s.Require().NoError(err)
	defer func() { s.Require().NoError(writer.Close()) }()
	conn, err := writer.Conn(s.T().Context())
	s.Require().NoError(err)
	defer conn.Close()
	insert := func(granted ...Right) error {
		_, err := Privileged(conn, granted...).ExecContext(s.T().Context(), "INSERT INTO t VALUES (1)")
		return err
	}
	s.Require().True(IsNotAuthorized(insert()))
	s.Require().True(IsNotAuthorized(insert(Update("t"), Insert("u"))))
	s.Require().NoError(insert(Insert("t")))
	s.Require().True(IsNotAuthorized(insert()), "the driver keeps no statement that had the right")
	for _, body := range []string{"DELETE FROM u", "INSERT INTO u VALUES (1)", "DELETE FROM t", "UPDATE t SET a = 2"} {
		s.exec(s.writer, "CREATE TRIGGER planted AFTER INSERT ON t BEGIN "+body+"; END")
		s.Require().True(IsNotAuthorized(insert(Insert("t"))), body)
		s.exec(s.writer, "DROP TRIGGER planted")
	}
	s.exec(s.writer, "CREATE TRIGGER planted AFTER INSERT ON t BEGIN DELETE FROM u; END")
	s.Require().NoError(insert(Insert("t"), Delete("u")))
	var rows int
	s.Require().NoError(conn.QueryRowContext(s.T().Context(), "SELECT count(*) FROM t").Scan(&rows))
	s.Require().Equal(2, rows)
}
