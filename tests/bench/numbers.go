package main

import (
	"math"
	"strconv"
)

// grouped writes a number with commas between its thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// number3 writes three digits of a number, or all that are before its point.
func number3(value float64) string {
	size := math.Abs(value)
	switch {
	case size >= 99.95:
		return grouped(int(math.Round(value)))
	case size >= 9.995:
		return strconv.FormatFloat(value, 'f', 1, 64)
	case value == 0:
		return "0"
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}
