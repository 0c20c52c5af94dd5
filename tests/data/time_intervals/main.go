// Prints what Alertmanager's own package says of many time intervals at many instants, as JSON.
//
//	go run . | gzip -9n > verdicts.json.gz
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"go.yaml.in/yaml/v2"
)

// Each is one interval, as YAML. Alertmanager takes some and refuses the others.
var byHand = []string{
	// Times: the start is in, the end is not.
	`{times: [{start_time: "09:00", end_time: "17:00"}]}`,
	`{times: [{start_time: "00:00", end_time: "24:00"}]}`,
	`{times: [{start_time: "23:59", end_time: "24:00"}]}`,
	`{times: [{start_time: "00:00", end_time: "00:01"}]}`,
	`{times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]}`,
	`{times: [{start_time: "09:00", end_time: "17:00"}], location: Europe/Berlin}`,
	`{times: [{start_time: "02:00", end_time: "03:00"}], location: Europe/Berlin}`,
	`{times: [{start_time: "02:30", end_time: "03:30"}], location: Europe/Berlin}`,
	`{times: [{start_time: "01:30", end_time: "02:30"}], location: Europe/Berlin}`,
	`{times: [{start_time: "02:15", end_time: "02:45"}], location: Europe/Berlin}`,
	`{times: [{start_time: "01:00", end_time: "02:00"}], location: America/New_York}`,
	`{times: [{start_time: "02:00", end_time: "03:00"}], location: America/New_York}`,
	`{times: [{start_time: "00:00", end_time: "01:00"}], location: America/Sao_Paulo}`,
	`{times: [{start_time: "23:00", end_time: "24:00"}], location: America/Sao_Paulo}`,
	`{times: [{start_time: "01:30", end_time: "02:00"}], location: Australia/Lord_Howe}`,
	`{times: [{start_time: "02:00", end_time: "02:30"}], location: Australia/Lord_Howe}`,
	`{times: [{start_time: "12:00", end_time: "12:45"}], location: Pacific/Chatham}`,
	`{times: [{start_time: "05:30", end_time: "06:00"}], location: Asia/Kolkata}`,
	`{times: [{start_time: "05:45", end_time: "06:00"}], location: Asia/Kathmandu}`,
	`{times: [{start_time: "09:00", end_time: "18:00"}], location: Asia/Shanghai}`,
	`{times: [{start_time: "17:00", end_time: "09:00"}]}`,
	`{times: [{start_time: "09:00", end_time: "09:00"}]}`,
	`{times: [{start_time: "9:00", end_time: "17:00"}]}`,
	`{times: [{start_time: "09:00", end_time: "24:01"}]}`,
	`{times: [{start_time: "09:00", end_time: "25:00"}]}`,
	`{times: [{start_time: "09:60", end_time: "17:00"}]}`,
	`{times: [{start_time: "24:00", end_time: "24:00"}]}`,
	`{times: [{start_time: "09:00:00", end_time: "17:00:00"}]}`,
	`{times: [{start_time: "09:00"}]}`,
	`{times: [{end_time: "09:00"}]}`,
	`{times: ["09:00"]}`,
	`{times: {start_time: "09:00", end_time: "17:00"}}`,
	`{times: [{start_time: 09:00, end_time: "17:00"}]}`,
	// Weekdays.
	`{weekdays: [monday]}`, `{weekdays: [Monday]}`, `{weekdays: [SUNDAY]}`, `{weekdays: ["monday:friday"]}`,
	`{weekdays: ["saturday", "sunday"]}`, `{weekdays: ["sunday:saturday"]}`, `{weekdays: ["friday:monday"]}`,
	`{weekdays: ["saturday:sunday"]}`, `{weekdays: ["sunday:sunday"]}`, `{weekdays: ["monday:friday"], location: Asia/Tokyo}`,
	`{weekdays: ["sunday"], location: Pacific/Apia}`, `{weekdays: ["friday"], location: Pacific/Apia}`,
	`{weekdays: ["monday"], location: America/Los_Angeles}`, `{weekdays: ["monday"], location: Pacific/Kiritimati}`,
	`{weekdays: [mon]}`, `{weekdays: [1]}`, `{weekdays: ["0"]}`, `{weekdays: ["monday:"]}`, `{weekdays: [":friday"]}`,
	`{weekdays: ["monday:wednesday:friday"]}`, `{weekdays: ["monday : friday"]}`, `{weekdays: ["monday-friday"]}`,
	`{weekdays: monday}`, `{weekdays: [montag]}`, `{weekdays: [""]}`,
	// Days of the month: negative ones count from its end, and ranges are clamped.
	`{days_of_month: ["1"]}`, `{days_of_month: [1]}`, `{days_of_month: ["01"]}`, `{days_of_month: ["+1"]}`, `{days_of_month: ["-1"]}`, `{days_of_month: [-1]}`,
	`{days_of_month: ["1:5"]}`, `{days_of_month: ["-3:-1"]}`, `{days_of_month: ["28:31"]}`, `{days_of_month: ["29"]}`,
	`{days_of_month: ["30"]}`, `{days_of_month: ["31"]}`, `{days_of_month: ["30:31"]}`, `{days_of_month: ["29:31"]}`,
	`{days_of_month: ["-31"]}`, `{days_of_month: ["-30"]}`, `{days_of_month: ["-29"]}`, `{days_of_month: ["-31:-28"]}`,
	`{days_of_month: ["-31:-1"]}`, `{days_of_month: ["1:-1"]}`, `{days_of_month: ["15:-1"]}`, `{days_of_month: ["20:-10"]}`, `{days_of_month: ["18:-10"]}`,
	`{days_of_month: ["27:-1"]}`, `{days_of_month: ["28:-1"]}`, `{days_of_month: ["29:-1"]}`, `{days_of_month: ["1:-28"]}`, `{days_of_month: ["1:-27"]}`,
	`{days_of_month: ["1:-31"]}`, `{days_of_month: ["-1:1"]}`, `{days_of_month: ["-1:-3"]}`, `{days_of_month: ["5:1"]}`, `{days_of_month: ["0"]}`,
	`{days_of_month: ["32"]}`, `{days_of_month: ["-32"]}`, `{days_of_month: ["1:32"]}`, `{days_of_month: ["0:5"]}`, `{days_of_month: ["1:2:3"]}`,
	`{days_of_month: ["first"]}`, `{days_of_month: ["1 "]}`, `{days_of_month: ["1.5"]}`, `{days_of_month: ["１"]}`, `{days_of_month: ["1", "-1"]}`,
	`{days_of_month: ["29"], months: [february]}`, `{days_of_month: ["-1"], months: [february]}`, `{days_of_month: ["28:31"], months: ["february"]}`,
	`{days_of_month: ["1"], location: Pacific/Auckland}`, `{days_of_month: ["-1"], location: America/Anchorage}`, `{days_of_month: ["30:31"], location: Pacific/Apia}`,
	// Months, by name or number.
	`{months: [may]}`, `{months: [May]}`, `{months: ["5"]}`, `{months: [5]}`, `{months: ["january:march"]}`, `{months: ["1:3"]}`, `{months: ["1:march"]}`, `{months: ["01"]}`,
	`{months: ["december"]}`, `{months: ["november:december", "january"]}`, `{months: ["1:12"]}`, `{months: ["december"], location: Pacific/Auckland}`,
	`{months: ["november:february"]}`, `{months: [jan]}`, `{months: ["0"]}`, `{months: ["13"]}`, `{months: ["march:13"]}`, `{months: [-1]}`,
	// Years.
	`{years: ["2020"]}`, `{years: [2024]}`, `{years: ["2020:2023"]}`, `{years: ["2012", "2016", "2020", "2024"]}`, `{years: ["2024:2020"]}`, `{years: ["soon"]}`,
	`{years: ["2024"], location: America/New_York}`, `{years: ["2024"], location: Asia/Tokyo}`, `{years: [2020:]}`, `{years: ["2020:2021:2022"]}`,
	// Places.
	`{weekdays: [monday], location: UTC}`, `{weekdays: [monday], location: ""}`, `{weekdays: [monday], location: Europe/Atlantis}`, `{weekdays: [monday], location: EST}`,
	`{weekdays: [monday], location: Etc/GMT+12}`, `{weekdays: [monday], location: Etc/GMT-14}`, `{weekdays: [monday], location: "UTC+8"}`, `{weekdays: [monday], location: "../UTC"}`, `{weekdays: [monday], location: CET}`,
	// All together.
	`{times: [{start_time: "00:00", end_time: "24:00"}], weekdays: ["monday:friday"], days_of_month: ["1:-1"], months: ["1:12"], years: ["2012:2026"], location: Europe/London}`,
	`{times: [{start_time: "18:30", end_time: "20:15"}], weekdays: [friday, saturday], months: ["june:august"], location: Europe/Madrid}`,
	`{days_of_month: ["-7:-1"], weekdays: [sunday], months: [march, october], location: Europe/Berlin}`,
	`{days_of_month: ["1:7"], weekdays: [tuesday], times: [{start_time: "02:00", end_time: "04:00"}], location: America/Chicago}`,
	`{hours: ["9"]}`, `[monday]`, `monday`, `{}`, `{location: UTC}`, `{weekdays: []}`, `{times: []}`, `{years: []}`,
}

// Moments around which verdicts are asked for, as walls show them.
var moments = []struct{ place, local string }{
	{"Europe/Berlin", "2026-03-29 02:00"}, {"Europe/Berlin", "2026-10-25 03:00"}, {"Europe/London", "2024-03-31 01:00"},
	{"America/New_York", "2025-03-09 02:00"}, {"America/New_York", "2025-11-02 01:00"}, {"America/Sao_Paulo", "2018-11-04 00:00"},
	{"America/Sao_Paulo", "2018-02-18 00:00"}, {"Australia/Lord_Howe", "2024-10-06 02:00"}, {"Australia/Lord_Howe", "2025-04-06 02:00"},
	{"Pacific/Chatham", "2025-09-28 02:45"}, {"Pacific/Auckland", "2025-01-01 00:00"}, {"Pacific/Kiritimati", "2024-01-01 00:00"}, {"Pacific/Apia", "2011-12-31 00:00"},
	{"Asia/Kolkata", "2024-06-01 05:30"}, {"Asia/Kathmandu", "2024-06-01 06:00"}, {"Asia/Shanghai", "2026-11-26 09:00"}, {"Asia/Shanghai", "2026-11-26 18:00"}, {"Asia/Tokyo", "2024-12-31 24:00"},
	{"Europe/Madrid", "2024-07-05 18:30"}, {"Europe/Madrid", "2024-07-06 20:15"}, {"America/Chicago", "2024-09-03 02:00"}, {"America/Los_Angeles", "2024-07-01 00:00"}, {"America/Anchorage", "2024-04-30 00:00"},
	{"UTC", "2023-02-28 00:00"}, {"UTC", "2023-03-01 00:00"}, {"UTC", "2024-02-29 00:00"}, {"UTC", "2024-03-01 00:00"}, {"UTC", "2024-04-30 00:00"}, {"UTC", "2024-05-01 00:00"}, {"UTC", "2024-05-04 00:00"}, {"UTC", "2024-05-31 00:00"},
	{"UTC", "2024-12-31 00:00"}, {"UTC", "2025-01-01 00:00"}, {"UTC", "2012-01-01 00:00"}, {"UTC", "2026-11-22 00:00"}, {"UTC", "2026-11-23 09:00"}, {"UTC", "2026-11-27 17:00"}, {"UTC", "2026-11-28 00:00"}, {"UTC", "2000-02-29 12:00"}, {"UTC", "2100-02-28 23:59"}, {"UTC", "2100-03-01 00:00"},
}

func instants(chance *rand.Rand) []int64 {
	found := map[int64]bool{}
	for _, moment := range moments {
		place, err := time.LoadLocation(moment.place)
		check(err)
		local := strings.Replace(moment.local, "24:00", "23:59", 1)
		at, err := time.ParseInLocation("2006-01-02 15:04", local, place)
		check(err)
		for _, seconds := range []int64{-3600, -1801, -1800, -60, -1, 0, 1, 59, 60, 1799, 1800, 3599, 3600, 7200} {
			found[at.Unix()+seconds] = true
		}
	}
	for range 200 {
		found[1325376000+chance.Int63n(470_000_000)] = true // from 2012 to late 2026
	}
	var sorted []int64
	for instant := range found {
		sorted = append(sorted, instant)
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return sorted
}

func among(chance *rand.Rand, options ...string) string { return options[chance.Intn(len(options))] }

func number(chance *rand.Rand, low, high int) string {
	return fmt.Sprint(low + chance.Intn(high-low+1))
}

// Returns an interval of chance; Alertmanager may refuse it.
func byChance(chance *rand.Rand) string {
	days := []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	months := []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	one := map[string]func() string{
		"times": func() string {
			start, end := 30*chance.Intn(48), 30*chance.Intn(49)
			if start > end && chance.Intn(4) > 0 {
				start, end = end, start
			}
			return fmt.Sprintf(`{start_time: "%02d:%02d", end_time: "%02d:%02d"}`, start/60, start%60, end/60, end%60)
		},
		"weekdays": func() string {
			return `"` + among(chance, days...) + among(chance, "", ":"+among(chance, days...)) + `"`
		},
		"days_of_month": func() string {
			return `"` + number(chance, -31, 31) + among(chance, "", ":"+number(chance, -31, 31)) + `"`
		},
		"months": func() string {
			return `"` + among(chance, append(months, number(chance, 1, 12))...) + among(chance, "", ":"+among(chance, months...)) + `"`
		},
		"years": func() string {
			return `"` + number(chance, 2012, 2027) + among(chance, "", ":"+number(chance, 2012, 2027)) + `"`
		},
	}
	var parts []string
	for _, field := range []string{"times", "weekdays", "days_of_month", "months", "years"} {
		if chance.Intn(5) < 2 {
			entries := []string{one[field]()}
			for chance.Intn(3) == 0 {
				entries = append(entries, one[field]())
			}
			parts = append(parts, field+": ["+strings.Join(entries, ", ")+"]")
		}
	}
	if len(parts) == 0 {
		return byChance(chance)
	}
	if chance.Intn(2) == 0 {
		parts = append(parts, "location: "+moments[chance.Intn(len(moments))].place)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

type judged struct {
	Interval string `json:"interval"`
	Verdicts string `json:"verdicts"` // one digit for each instant; empty if the interval is refused
}

func judge(text string, at []int64) judged {
	var interval timeinterval.TimeInterval
	if yaml.UnmarshalStrict([]byte(text), &interval) != nil {
		return judged{text, ""}
	}
	intervener := timeinterval.NewIntervener(map[string][]timeinterval.TimeInterval{"one": {interval}})
	var verdicts strings.Builder
	for _, instant := range at {
		inside, _, err := intervener.Mutes([]string{"one"}, time.Unix(instant, 0))
		check(err)
		verdicts.WriteString(map[bool]string{true: "1", false: "0"}[inside])
	}
	return judged{text, verdicts.String()}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	chance := rand.New(rand.NewSource(1))
	at := instants(chance)
	texts := byHand
	for range 600 {
		texts = append(texts, byChance(chance))
	}
	table := struct {
		Instants []int64  `json:"instants"`
		Judged   []judged `json:"judged"`
	}{Instants: at}
	for _, text := range texts {
		table.Judged = append(table.Judged, judge(text, at))
	}
	check(json.NewEncoder(os.Stdout).Encode(table))
}
