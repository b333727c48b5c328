package tests

func roleTogether(args []string) error { return nil }
func roleMigrate(args []string) error  { return nil }
