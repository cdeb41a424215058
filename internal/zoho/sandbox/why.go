package sandbox

import (
	"fmt"
	"strings"
)

// because says which rule refuses, in words for the ledger. Zoho's answer does not carry it.
func (p *problem) because(format string, a ...any) *problem {
	p.rule = fmt.Sprintf(format, a...)
	return p
}

// why is the rule behind a refusal: what was said where it was refused, else what its details tell.
func (p *problem) why() string {
	if p.rule != "" {
		return p.rule
	}
	if list, ok := p.Details["errors"].([]*problem); ok {
		var all []string
		for _, x := range list {
			all = append(all, x.why())
		}
		return strings.Join(all, "; ")
	}
	name, _ := p.Details["api_name"].(string)
	if param, ok := p.Details["param_name"].(string); ok {
		name = param
	}
	about := func(text string) string {
		if name == "" {
			return text
		}
		return name + ": " + text
	}
	switch {
	case p.Details["maximum_length"] != nil:
		return about(fmt.Sprintf("longer than %v", p.Details["maximum_length"]))
	case p.Details["expected_data_type"] != nil:
		return about(fmt.Sprintf("has to be %v", p.Details["expected_data_type"]))
	case p.Details["supported_values"] != nil:
		return about("not one of the values it may have")
	case p.Details["duplicate_record"] != nil:
		return about(fmt.Sprintf("no duplicates allowed, and record %v has this value", p.Details["id"]))
	case p.Details["limit"] != nil:
		return about(fmt.Sprintf("%s: %v", p.Message, p.Details["limit"]))
	case p.Code == "INVALID_DATA" && p.Details["resource_path_index"] != nil:
		return "there is no such record"
	case p.Details["mapped_field"] != nil:
		return about(p.Message)
	}
	return about(p.Message)
}

// reasons is why() of all that a request was refused for, short enough for a page.
func reasons(list []string) string {
	const most = 3
	if n := len(list) - most; n > 0 {
		list = append(list[:most:most], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(list, "; ")
}
