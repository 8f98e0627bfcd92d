package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var testLimits = limits{bulk: 1 << 20, request: 2 << 20}

// requests takes all of in apart, pieces of it at a time: each request's arguments
// joined by a bar, and the error behind them.
func requests(in string, piece int) (all []string, rest int, err error) {
	p := &parser{limits: testLimits}
	have := 0
	for b := []byte(in); ; {
		n, err := p.next(b[:min(have, len(b))])
		switch {
		case err != nil:
			return all, len(b), err
		case n == 0 && have >= len(b):
			return all, len(b), nil
		case n == 0:
			have += piece
			continue
		}
		var args []string
		for _, a := range p.args {
			args = append(args, string(a))
		}
		all = append(all, strings.Join(args, "|"))
		b, have = b[n:], max(have-n, 0)
	}
}

var wellFormed = []struct {
	in   string
	want []string
}{
	{"*1\r\n$4\r\nPING\r\n", []string{"PING"}},
	{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n", []string{"GET|", "x"}},
	{"*0\r\n*-1\r\nPING\r\n", []string{"", "", "PING"}},
	{"\r\n\n  \nPING\n", []string{"", "", "", "PING"}},
	{"SET a  b\r\n\tGET\ta\r\n", []string{"SET|a|b", "GET|a"}},
	{`SET "a b\x41\n\t\"\\" 'it\'s'` + "\n", []string{"SET|a bA\n\t\"\\|it's"}},
	{`a"b c"` + "\n", []string{"ab c"}},
	{"''\n", []string{""}},
	{"*3\r\n$3\r\nSET\r\n$12\r\n*1\r\n$4\r\nPING\r\n$1\r\n\n\r\n", []string{"SET|*1\r\n$4\r\nPIN|\n"}},
	{"*2\r\n$00004\r\nPING\r\n", nil},
}

func TestRequestsAreTakenApart(t *testing.T) {
	for _, c := range wellFormed[:len(wellFormed)-2] {
		for piece := range len(c.in) {
			got, rest, err := requests(c.in, piece+1)
			require.NoError(t, err, "%q", c.in)
			require.Zero(t, rest, "%q", c.in)
			require.Equal(t, c.want, got, "%q in pieces of %d", c.in, piece+1)
		}
	}
}

func TestProtocolErrorsAreThoseOfRedis(t *testing.T) {
	for in, want := range map[string]string{
		"*x\r\n":                                "invalid multibulk length",
		"*+1\r\n":                               "invalid multibulk length",
		"*01\r\n":                               "invalid multibulk length",
		"*1048577\r\n":                          "invalid multibulk length",
		"*99999999999999999999\r\n":             "invalid multibulk length",
		"*1\r\nx":                               "expected '$', got 'x'",
		"*1\r\n\n":                              "expected '$', got '?'",
		"*1\r\n$\r\n":                           "invalid bulk length",
		"*1\r\n$-1\r\n":                         "invalid bulk length",
		"*1\r\n$1048577\r\n":                    "invalid bulk length",
		"*1\r\n$9223372036854775808\r\n":        "invalid bulk length",
		"SET \"a\n":                             "unbalanced quotes in request",
		"SET 'a'b\n":                            "unbalanced quotes in request",
		"*" + strings.Repeat("1", 66<<10):       "too big mbulk count string",
		"*1\r\n$" + strings.Repeat("1", 66<<10): "too big bulk count string",
		strings.Repeat("a", 66<<10):             "too big inline request",
		"*3\r\n$1000000\r\n" + strings.Repeat("a", 1000000) + "\r\n$1000000\r\n" +
			strings.Repeat("a", 1000000) + "\r\n$1000000\r\n": "too big request",
	} {
		for _, piece := range []int{1 << 20, 7} {
			if len(in) > 1<<20 && piece == 7 {
				piece = 70001
			}
			all, _, err := requests(in, piece)
			require.EqualError(t, err, want, "%.40q", in)
			require.Empty(t, all)
		}
	}
}

func TestNumbersAreReadStrictly(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "-1": -1, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63} {
		n, ok := parseInt([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, n)
	}
	for _, text := range []string{"", "-", "+1", "01", "-0", "--1", "1 ", " 1", "1.0", "9223372036854775808", "-9223372036854775809", "-+100000000000000000", "0x10", "1_000000000000000000"} {
		_, ok := parseInt([]byte(text))
		require.False(t, ok, text)
	}
}

// However a stream is cut up, it comes to the same requests and the same error.
func FuzzParser(f *testing.F) {
	for _, c := range wellFormed {
		f.Add(c.in, 3)
	}
	f.Add("*2\r\n$3\r\nGET\r\n$-1\r\n", 1)
	f.Add("*3\r\n$3\r\nSET\r\n:1\r\n", 2)
	f.Add("*1000000\r\n$1\r\na\r\n", 5)
	f.Fuzz(func(t *testing.T, in string, piece int) {
		if piece < 1 {
			piece = 1
		}
		whole, rest, err := requests(in, len(in)+1)
		parts, rest2, err2 := requests(in, piece)
		require.Equal(t, whole, parts)
		require.Equal(t, err, err2)
		require.Equal(t, rest, rest2)
	})
}
