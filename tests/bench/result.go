package main

// unit is what values are shown in.
type unit struct {
	name    string  // such as "µs"
	of      string  // such as "read"
	size    float64 // of one, in what was measured: seconds, bytes or a number
	inverse bool    // whether it is so many in a second, of what was measured in seconds
}

func (u unit) show(value float64) float64 {
	if u.inverse {
		return 1 / value
	}
	return value / u.size
}

func (u unit) String() string {
	if u.of == "" {
		return u.name
	}
	return u.name + " per " + u.of
}

func nanoseconds(of string) unit  { return unit{name: "ns", of: of, size: 1e-9} }
func microseconds(of string) unit { return unit{name: "µs", of: of, size: 1e-6} }
func milliseconds(of string) unit { return unit{name: "ms", of: of, size: 1e-3} }

// result is what came of a job.
type result struct {
	id, title, note string
	unit            unit
	series          []series
}

// series are one side's values, one for each round: those with the same index were measured at about the same time.
type series struct {
	name      string
	variant   string // the number of entries, where a job compares them
	reference string // the label of the series that the ratio is to, if there is one
	values    []float64
}

func (s series) label() string { return label(s.name, s.variant) }

func label(name, variant string) string {
	if variant == "" {
		return name
	}
	return name + ": " + variant
}

// values are those of a series, or none.
func (r result) values(label string) []float64 {
	for _, s := range r.series {
		if s.label() == label {
			return s.values
		}
	}
	return nil
}

// results are in the order in which they were measured.
type results []result

// get is the result of a job, without series if it was not run.
func (rs results) get(id string) result {
	for _, r := range rs {
		if r.id == id {
			return r
		}
	}
	return result{id: id}
}
