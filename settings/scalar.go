package settings

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/settings/internal/source"
)

// A scalarFunc puts a value's text into v, or says what is wrong. It must not
// quote the text itself: the caller knows whether it is a secret.
type scalarFunc func(n *source.Node, v reflect.Value) *misfit

// misfit is why a value does not fit; the zero fields are filled in from the
// codec.
type misfit struct {
	problem    string // instead of "expected …, found …"
	hint       string // after it
	suggestion string
	err        error
}

var errNotThis = &misfit{}

func parseInt(text string, bits int) (int64, error) {
	if !numericOddity(text) {
		return strconv.ParseInt(text, 10, bits)
	}
	return strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, bits)
}

// numericOddity tells whether a yaml number may be written another way than in
// decimal: 0x1f, 0o17, 017 (octal in yaml 1.1, and so in the Python chassis),
// 0b11, 1_000.
func numericOddity(text string) bool {
	t := strings.TrimLeft(text, "+-")
	return len(t) > 1 && (t[0] == '0' || strings.Contains(t, "_"))
}

func parseUint(text string, bits int) (uint64, error) {
	if !numericOddity(text) {
		return strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, bits)
	}
	return strconv.ParseUint(strings.ReplaceAll(strings.TrimPrefix(text, "+"), "_", ""), 0, bits)
}

func parseFloat(text string, bits int) (float64, error) {
	switch strings.TrimLeft(strings.ToLower(text), "+-") {
	case ".inf", "inf", "infinity":
		return math.Inf(1 - 2*strings.Count(text[:1], "-")), nil
	case ".nan", "nan":
		return math.NaN(), nil
	}
	return strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), bits)
}

// number gives an int node's text, or that of a float without a fraction.
func wholeText(n *source.Node) (string, bool) {
	switch n.Kind {
	case source.Int:
		if n.Text == "-0" {
			return "0", true
		}
		return n.Text, true
	case source.Text:
		t := decimal(strings.TrimSpace(n.Text))
		return t, t != ""
	case source.Float:
		f, err := parseFloat(n.Text, 64)
		if err == nil && f == math.Trunc(f) && math.Abs(f) < 1e20 {
			if f == 0 {
				return "0", true // -0.0
			}
			if exact, ok := new(big.Rat).SetString(n.Text); ok && exact.IsInt() {
				return exact.Num().String(), true // a float64 holds 53 bits of it
			}
			return strconv.FormatFloat(f, 'f', 0, 64), true
		}
	}
	return "", false
}

// decimal takes leading zeros off: the 010 of a variable or a string is ten.
func decimal(text string) string {
	digits := strings.TrimLeft(text, "+-")
	if sign := text[:len(text)-len(digits)]; len(digits) > 1 && isDecimal(digits) {
		for len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			digits = digits[1:]
		}
		return sign + digits
	}
	return text
}

// bare is a value's text, a variable's without blanks around it.
func bare(n *source.Node) string {
	if n.Kind == source.Text {
		return strings.TrimSpace(n.Text)
	}
	return n.Text
}

func setInt(n *source.Node, v reflect.Value) *misfit {
	text, ok := wholeText(n)
	if !ok {
		return quotedNumber(n)
	}
	i, err := parseInt(text, v.Type().Bits())
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			bits := v.Type().Bits()
			return &misfit{problem: fmt.Sprintf("expected a whole number from %d to %d, found", int64(-1)<<(bits-1), int64(1)<<(bits-1)-1)}
		}
		return quotedNumber(n)
	}
	v.SetInt(i)
	return nil
}

func setUint(n *source.Node, v reflect.Value) *misfit {
	text, ok := wholeText(n)
	if !ok {
		return quotedNumber(n)
	}
	u, err := parseUint(text, v.Type().Bits())
	if err != nil {
		if errors.Is(err, strconv.ErrRange) || strings.HasPrefix(text, "-") && n.Kind != source.Text {
			return &misfit{problem: fmt.Sprintf("expected a whole number from 0 to %d, found", uint64(math.MaxUint64)>>(64-v.Type().Bits()))}
		}
		return quotedNumber(n)
	}
	v.SetUint(u)
	return nil
}

// quotedNumber sees that a number stands in quotes.
func quotedNumber(n *source.Node) *misfit {
	if n.Kind == source.String && !n.Plain {
		if _, err := strconv.ParseFloat(n.Text, 64); err == nil {
			return &misfit{hint: ": take the quotes off"}
		}
	}
	return errNotThis
}

func setFloat(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.Int && n.Kind != source.Float && n.Kind != source.Text {
		return quotedNumber(n)
	}
	f, err := parseFloat(strings.TrimSpace(n.Text), v.Type().Bits())
	if n.Kind == source.Int && numericOddity(n.Text) {
		if i, intErr := parseInt(n.Text, 64); intErr == nil {
			f, err = float64(i), nil
		}
	}
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(f):
		return errNotThis
	case err != nil || !math.IsInf(f, 0) && v.OverflowFloat(f):
		return &misfit{problem: fmt.Sprintf("expected a number that a %s can hold, found", v.Type().Kind())}
	}
	v.SetFloat(f)
	return nil
}

func setBool(n *source.Node, v reflect.Value) *misfit {
	text := strings.ToLower(strings.TrimSpace(n.Text))
	switch {
	case n.Kind == source.Bool:
		v.SetBool(text == "true")
		return nil
	case n.Kind == source.Text || n.Kind == source.String && n.Plain:
		// yaml 1.1, and so the Python chassis, reads yes and on as true.
		switch text {
		case "true", "yes", "on":
			v.SetBool(true)
			return nil
		case "false", "no", "off":
			v.SetBool(false)
			return nil
		case "1", "0":
			if n.Kind == source.Text {
				v.SetBool(text == "1")
				return nil
			}
		}
	}
	if n.Kind == source.String || n.Kind == source.Text {
		if text == "true" || text == "false" {
			return &misfit{hint: ": take the quotes off"}
		}
		return &misfit{suggestion: nearest(text, []string{"true", "false"})}
	}
	return errNotThis
}

func setString(n *source.Node, v reflect.Value) *misfit {
	text, m := stringText(n)
	if m == nil {
		v.SetString(text)
	}
	return m
}

func stringText(n *source.Node) (string, *misfit) {
	switch n.Kind {
	case source.String, source.Text:
		return n.Text, nil
	case source.Bool, source.Int, source.Float, source.Time:
		if n.Plain {
			return n.Text, nil
		}
		return "", &misfit{hint: ": put it in quotes"}
	}
	return "", errNotThis
}

func setBytes(n *source.Node, v reflect.Value) *misfit {
	text, m := stringText(n)
	if m == nil {
		v.SetBytes([]byte(text))
	}
	return m
}

func setDuration(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.Int && n.Kind != source.Float && n.Kind != source.String && n.Kind != source.Text {
		return errNotThis
	}
	text := bare(n)
	parse := parseDuration
	if n.Kind != source.Int && n.Kind != source.Float {
		if text = decimal(text); !isDecimal(text) {
			parse = time.ParseDuration // 1e3 in quotes is no number
		}
	}
	d, err := parse(text)
	if err != nil {
		m := &misfit{suggestion: nearDuration(n.Text)}
		if errors.Is(err, strconv.ErrRange) {
			m.problem = "expected a duration of at most 292 years, found"
		}
		return m
	}
	v.SetInt(int64(d))
	return nil
}

// parseDuration reads 90, 1.5 (seconds), 90s, 1m30s.
func parseDuration(text string) (time.Duration, error) {
	if i, err := parseInt(text, 64); err == nil {
		if i > math.MaxInt64/int64(time.Second) || i < math.MinInt64/int64(time.Second) {
			return 0, strconv.ErrRange
		}
		return time.Duration(i) * time.Second, nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) {
		f *= float64(time.Second)
		if math.Abs(f) >= math.MaxInt64 {
			return 0, strconv.ErrRange
		}
		return time.Duration(math.Round(f)), nil
	}
	d, err := time.ParseDuration(text)
	return d, err
}

// isDecimal tells 90, -1.5 from whatever else strconv takes for a number.
func isDecimal(text string) bool { return text != "" && strings.Trim(text, "+-.0123456789") == "" }

var (
	wordedDuration = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]+)`)
	durationUnits  = map[string]time.Duration{
		"ms": time.Millisecond, "msec": time.Millisecond, "millis": time.Millisecond, "millisecond": time.Millisecond,
		"s": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute, "minute": time.Minute,
		"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour, "w": 168 * time.Hour, "week": 168 * time.Hour,
	}
)

// nearDuration guesses what "5 minutes", "1d" or "10sec" was meant to be.
func nearDuration(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	var total time.Duration
	for _, m := range wordedDuration.FindAllStringSubmatch(text, -1) {
		f, err := strconv.ParseFloat(m[1], 64)
		unit, ok := durationUnits[m[2]]
		if !ok {
			unit, ok = durationUnits[strings.TrimSuffix(m[2], "s")]
		}
		if err != nil || !ok || f > 1e6 {
			return ""
		}
		total += time.Duration(f * float64(unit))
	}
	if total == 0 || strings.TrimSpace(wordedDuration.ReplaceAllString(text, "")) != "" {
		return ""
	}
	return shortDuration(total)
}

// shortDuration is Duration.String without its trailing zero units.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

var timeLayouts = []string{
	time.RFC3339Nano, "2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00", "2006-1-2 15:4:5.999999999Z07:00",
	"2006-1-2T15:4:5.999999999", "2006-1-2 15:4:5.999999999", "2006-1-2",
}

// parseTime reads RFC 3339 and its relatives; without a zone it is UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not a time")
}

func setTime(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.Time && n.Kind != source.String && n.Kind != source.Text {
		return errNotThis
	}
	t, err := parseTime(bare(n))
	if err != nil {
		return errNotThis
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

func setURL(n *source.Node, v reflect.Value) *misfit {
	if n.Kind != source.String && n.Kind != source.Text {
		return errNotThis
	}
	u, err := url.Parse(n.Text)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			return &misfit{hint: ": " + unquoted(inner.Err.Error())}
		}
		return errNotThis
	}
	v.Set(reflect.ValueOf(*u))
	return nil
}

// unquoted cuts a message where it begins to quote the value.
func unquoted(msg string) string {
	if i := strings.IndexAny(msg, "\"'`"); i >= 0 {
		msg = strings.TrimRight(msg[:i], " :")
	}
	return msg
}

// setText is for encoding.TextUnmarshaler. Its error may quote the text, so it
// is handed on as the cause, which is dropped for a secret.
func setText(n *source.Node, v reflect.Value) *misfit {
	text, m := stringText(n)
	if m != nil {
		if n.Kind == source.List || n.Kind == source.Map || n.Kind == source.Null {
			return errNotThis
		}
		text = n.Text // a number for a type of its own: let the type judge
	}
	err := guarded("UnmarshalText", func() error {
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	})
	if err != nil {
		m := &misfit{err: err}
		if v.Type() == slogLevel {
			m.suggestion = nearest(strings.ToUpper(text), []string{"DEBUG", "INFO", "WARN", "ERROR"})
			m.err = nil
		}
		return m
	}
	return nil
}
