package sandbox

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rules checks what a module asks beyond types, and works out what follows from a record's values.
func (d *draft) rules() {
	switch d.sc.module.API {
	case "Calls":
		d.callRules()
	case "Deals":
		d.dealRules()
	case "Events":
		d.eventRules()
	case "Notes":
		d.noteRules()
	}
}

// derive fills what the system works out. It runs on drafts by hand as well.
func (d *draft) derive() {
	text := func(api string) string { s, _ := d.values[api].(string); return s }
	switch d.sc.module.API {
	case "Leads", "Contacts":
		if name := strings.TrimSpace(text("First_Name") + " " + text("Last_Name")); name != "" {
			d.values["Full_Name"] = name
		} else {
			delete(d.values, "Full_Name")
		}
	case "Calls":
		delete(d.values, "Call_Duration_in_seconds")
		if sec, ok := callSeconds(text("Call_Duration")); ok {
			d.values["Call_Duration_in_seconds"] = json.Number(strconv.Itoa(sec))
		}
		if text("Subject") == "" {
			d.values["Subject"] = text("Call_Type") + " call" // a default when absent (mem)
		}
	case "Deals":
		if text("Pipeline") == "" {
			d.values["Pipeline"] = standardPipeline // (mem); only a setting or a person gets here without one
		}
		for _, st := range d.q.org.stages() {
			if st.Name == text("Stage") && (d.changed["Stage"] || d.values["Probability"] == nil) && !(d.changed["Probability"] && d.values["Probability"] != nil) {
				d.values["Probability"] = json.Number(strconv.Itoa(st.Probability))
			}
		}
		delete(d.values, "Expected_Revenue")
		amount, ok1 := d.values["Amount"].(json.Number)
		percent, ok2 := d.values["Probability"].(json.Number)
		if ok1 && ok2 {
			a, _ := amount.Float64()
			p, _ := percent.Float64()
			d.values["Expected_Revenue"] = json.Number(strconv.FormatFloat(a*p/100, 'f', -1, 64))
		}
	case "Tasks":
		if d.before == nil {
			for api, value := range map[string]string{"Status": "Not Started", "Priority": "High"} { // (mem)
				if text(api) == "" {
					d.values[api] = value
				}
			}
		}
		switch done := text("Status") == "Completed"; {
		case done && d.values["Closed_Time"] == nil:
			d.values["Closed_Time"] = d.q.at.UTC()
		case !done:
			delete(d.values, "Closed_Time")
		}
	}
}

var durationShape = regexp.MustCompile(`^(?:(\d{1,3}):)?(\d{1,5}):(\d{2})$`)

// callSeconds reads Call_Duration. Sources differ between hh:mm (Kaizen 38) and mm:ss (working integrations); the sandbox takes
// mm:ss, minutes past 59 allowed, and hh:mm:ss.
func callSeconds(s string) (int, bool) {
	m := durationShape.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	h, _ := strconv.Atoi(m[1])
	min, _ := strconv.Atoi(m[2])
	sec, _ := strconv.Atoi(m[3])
	if sec > 59 || (m[1] != "" && min > 59) {
		return 0, false
	}
	return h*3600 + min*60 + sec, true
}

// callRules are those of Kaizen 38 and of Insert records: type and start mandatory, a length for calls that took place.
func (d *draft) callRules() {
	types := []string{"Inbound", "Outbound", "Missed"}
	kind, _ := d.values["Call_Type"].(string)
	if kind != "" && !slices.Contains(types, kind) {
		d.invalid("Call_Type", map[string]any{"supported_values": types})
	}
	if d.before != nil && d.changed["Call_Type"] && kind != d.before.text("Call_Type") {
		d.invalid("Call_Type", nil)
	}
	status, _ := d.values["Outgoing_Call_Status"].(string)
	tookPlace := kind == "Inbound" || (kind == "Outbound" && (status == "" || status == "Completed"))

	duration, _ := d.values["Call_Duration"].(string)
	if duration == "" {
		if tookPlace && !d.failed("Call_Duration") && (d.before == nil || d.changed["Call_Duration"] || d.changed["Outgoing_Call_Status"]) {
			d.missing("Call_Duration")
		}
	} else if sec, ok := callSeconds(duration); !ok || (sec == 0 && tookPlace) {
		if d.before == nil || d.changed["Call_Duration"] || d.changed["Outgoing_Call_Status"] {
			d.invalid("Call_Duration", nil)
		}
	}
	// The owner of a completed call stays.
	if d.before != nil && d.changed["Owner"] && !d.failed("Owner") && d.values["Owner"] != d.before.Values["Owner"] {
		was := d.before.text("Outgoing_Call_Status")
		if was == "" || was == "Completed" {
			d.invalid("Owner", nil)
		}
	}
}

func (d *draft) dealRules() {
	pipeline, _ := d.values["Pipeline"].(string)
	st, _ := d.values["Stage"].(string)
	if pipeline != "" && pipeline != standardPipeline && pipeline != "Standard" {
		d.fail("MAPPING_MISMATCH", "Layout doesn't contain the Pipeline", "Pipeline", map[string]any{"mapped_field": "Layout"})
		return
	}
	if pipeline == "Standard" {
		d.values["Pipeline"] = standardPipeline
	}
	if st != "" && !slices.ContainsFunc(d.q.org.stages(), func(s stage) bool { return s.Name == st }) {
		d.fail("MAPPING_MISMATCH", "Pipeline doesn't contain the Stage", "Stage", map[string]any{"mapped_field": "Pipeline"})
	}
}

func (d *draft) eventRules() {
	from, to := d.values["Start_DateTime"], d.values["End_DateTime"]
	if a, ok := asTime(from); ok {
		if b, ok := asTime(to); ok && b.Before(a) {
			d.invalid("End_DateTime", nil)
		}
	}
}

func (d *draft) noteRules() {
	if d.values["Note_Title"] == nil && d.values["Note_Content"] == nil && len(d.errors) == 0 {
		expected := []map[string]any{}
		for _, api := range []string{"Note_Content", "Note_Title"} {
			expected = append(expected, map[string]any{"api_name": api, "json_path": d.path(api)})
		}
		d.errors = append(d.errors, refuse(400, "EXPECTED_FIELD_MISSING", "expected field is missing", map[string]any{"expected_fields": expected}))
	}
	if d.values["Parent_Id"] == nil && d.before == nil && !d.failed("Parent_Id") && !d.failed("$se_module") {
		d.missing("Parent_Id")
	}
}
