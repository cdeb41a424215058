package mapping

import (
	"slices"

	"hookline/internal/zoho"
)

// FormSection is a part of a module's layout with the fields that stand in it.
type FormSection struct {
	Name   string // the layout's heading; empty where the layout is not known
	Fields []FormField
}

// FormField is a field as the editor offers it.
type FormField struct {
	zoho.Field
	Layout  bool   // the layout requires it of people; records are written without it
	Offered bool   // a row can name it
	Why     string // why it is not offered, in words
}

// Form are the module's fields in the order of its layout, those that nobody can see or write left out. A field that
// no row can fill is there with the reason. Fields in no section come last, required ones first.
func (m Metadata) Form(module string) []FormSection {
	md := m.of(module)
	byName := make(map[string]zoho.Field, len(md.Fields))
	for _, f := range md.Fields {
		byName[f.APIName] = f
	}
	var out []FormSection
	placed := map[string]bool{}
	add := func(s *FormSection, name string) {
		f, there := byName[name]
		if !there || placed[name] || name == RefField {
			return
		}
		placed[name] = true
		row := FormField{Field: f, Layout: slices.Contains(md.Required, name) && !f.Mandatory}
		if row.Why = notOffered(module, f); row.Why == "" && !f.Usable() {
			return
		}
		row.Offered = row.Why == ""
		s.Fields = append(s.Fields, row)
	}
	for _, section := range md.Sections {
		s := FormSection{Name: section.Name}
		for _, name := range section.Fields {
			add(&s, name)
		}
		if len(s.Fields) > 0 {
			out = append(out, s)
		}
	}
	rest := FormSection{}
	if len(out) > 0 {
		rest.Name = "Other fields"
	}
	for _, required := range []bool{true, false} {
		for _, f := range md.Fields {
			if f.Mandatory == required {
				add(&rest, f.APIName)
			}
		}
	}
	if len(rest.Fields) > 0 {
		out = append(out, rest)
	}
	return out
}

// notOffered says why no row can fill a field that people see in Zoho; empty for one that a row can fill.
func notOffered(module string, f zoho.Field) string {
	if !f.Visible {
		return ""
	}
	for _, l := range Linked(module) {
		if l[0] == f.APIName {
			return "Hookline fills it: " + l[1] + "."
		}
	}
	if f.APIName == tagField {
		return "A rule sets tags."
	}
	switch f.Type {
	case "subform":
		return "A table inside the record. A call has no rows for it."
	case "lookup", "multiselectlookup", "multi_module_lookup":
		return "A link to another record. Hookline links the records that it makes itself."
	case "userlookup", "multiuserlookup":
		return "A user of Zoho. A rule sets owners."
	case "fileupload", "imageupload", "profileimage":
		return "A file. The recording's link goes into a text or web address."
	}
	if unwritable[f.Type] {
		return "Zoho works it out itself."
	}
	return ""
}
