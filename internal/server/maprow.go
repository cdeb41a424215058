package server

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"hookline/internal/config"
	"hookline/internal/fault"
	"hookline/internal/mapping"
	"hookline/internal/routing"
	"hookline/web/page"
	"hookline/web/ui"
)

// mappingRowPage builds the value of one field in pieces, from the draft.
func (s *Server) mappingRowPage(c echo.Context) error {
	module, err := mappingModule(c)
	if err != nil {
		return err
	}
	draft, err := s.draft(c)
	if err != nil {
		return err
	}
	st := mappingOf(module, draft)
	st.call = c.QueryParam("call")
	return s.openRow(c, st)
}

// openRow takes the row's value apart.
func (s *Server) openRow(c echo.Context, st *mappingState) error {
	field := c.Param("field")
	md, err := s.known(c)
	if err != nil {
		return err
	}
	i := rowOf(st.rows(), field)
	if _, there := moduleField(md, st.module, field); i < 0 && !there {
		return fault.New(fault.NotFound, "There is no such field.")
	}
	value := newRow(st.module, field, md).Value
	if i >= 0 {
		value = st.rows()[i].Value
	}
	pieces, err := mapping.Pieces(value)
	if err != nil {
		return s.rowPage(c, st, md, rowState{value: value, broken: err.Error()})
	}
	return s.rowPage(c, st, md, rowState{value: value, pieces: pieces})
}

// known is what was last read of the organisation's fields; Zoho is not asked.
func (s *Server) known(c echo.Context) (mapping.Metadata, error) {
	known, err := s.Zoho.Known(ctx(c), tenantOf(c))
	return mapping.Metadata(known), err
}

// rowState is the value that somebody builds.
type rowState struct {
	value  string
	broken string // why it cannot be taken apart
	pieces []mapping.Piece
}

// editMappingRow changes a piece, a helper or a pair, or hands the value back to the mapping's page.
func (s *Server) editMappingRow(c echo.Context) error {
	st, _, err := s.readMapping(c)
	if err != nil {
		return err
	}
	if c.FormValue("pieces") == "" {
		return s.openRow(c, st)
	}
	md, err := s.known(c)
	if err != nil {
		return err
	}
	form, err := c.FormParams()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The form could not be read. Go back and try again.")
	}
	field := c.Param("field")
	if form.Has("whole") {
		return s.wholeRow(c, st, md, form)
	}
	row := rowState{pieces: readPieces(form)}
	switch act := form.Get("act"); act {
	case "cancel":
		st.focus = field
		return s.mappingPage(c, http.StatusOK, st, md)
	case "done":
		return s.useRow(c, st, md, mapping.Source(finished(row.pieces)))
	default:
		row.pieces = changePieces(row.pieces, act, form)
	}
	row.value = mapping.Source(finished(row.pieces))
	return s.rowPage(c, st, md, row)
}

// wholeRow goes on with a value that could not be taken apart before.
func (s *Server) wholeRow(c echo.Context, st *mappingState, md mapping.Metadata, form url.Values) error {
	value := strings.ReplaceAll(form.Get("whole"), "\r\n", "\n")
	switch form.Get("act") {
	case "cancel":
		st.focus = c.Param("field")
		return s.mappingPage(c, http.StatusOK, st, md)
	case "done":
		return s.useRow(c, st, md, value)
	}
	row := rowState{value: value}
	var err error
	if row.pieces, err = mapping.Pieces(value); err != nil {
		row.broken = err.Error()
	}
	return s.rowPage(c, st, md, row)
}

// useRow goes back to the mapping's page with the value in its row.
func (s *Server) useRow(c echo.Context, st *mappingState, md mapping.Metadata, value string) error {
	row := newRow(st.module, c.Param("field"), md)
	if i := rowOf(st.rows(), row.Field); i >= 0 {
		row = st.rows()[i]
	}
	row.Value = value
	st.put(row)
	return s.mappingPage(c, http.StatusOK, st, md)
}

// Limits of what a form may build.
const (
	maxPieces  = 60
	maxHelpers = 16
)

// readPieces reads the parts of a value from the form, in their order.
func readPieces(form url.Values) []mapping.Piece {
	var out []mapping.Piece
	for n := range maxPieces {
		at := fmt.Sprintf("p.%d.", n)
		text := strings.ReplaceAll(form.Get(at+"text"), "\r\n", "\n")
		switch form.Get(at + "is") {
		case "text":
			out = append(out, mapping.Piece{Text: text})
		case "const":
			head := mapping.Text(text)
			out = append(out, mapping.Piece{Value: &head, Helpers: readHelpers(form, at)})
		case "value":
			head := mapping.Var(form.Get(at + "value"))
			out = append(out, mapping.Piece{Value: &head, Helpers: readHelpers(form, at)})
		default:
			return out
		}
	}
	return out
}

func readHelpers(form url.Values, at string) []mapping.Helper {
	var out []mapping.Helper
	for m := range maxHelpers {
		name := form.Get(at + "h." + strconv.Itoa(m))
		info, ok := helperInfo(name)
		if !ok {
			return out
		}
		h := mapping.Helper{Name: name}
		prefix := fmt.Sprintf("%sh.%d.", at, m)
		if choosesFromList(info) {
			h = readChoices(form, prefix)
		} else {
			for k := 0; form.Has(prefix + "a." + strconv.Itoa(k)); k++ {
				h.Args = append(h.Args, operand(form.Get(prefix+"a."+strconv.Itoa(k)), argInfo(info, k).Kind == mapping.TakesNumber))
			}
			for n := len(h.Args); n > 0 && argInfo(info, n-1).Optional && h.Args[n-1].Value == ""; n-- {
				h.Args = h.Args[:n-1]
			}
		}
		out = append(out, h)
	}
	return out
}

// readChoices reads pairs, empty ones too: somebody is about to fill them.
func readChoices(form url.Values, prefix string) mapping.Helper {
	var choices mapping.Choices
	for k := 0; k < mapping.MaxChoices && form.Has(prefix+"when."+strconv.Itoa(k)); k++ {
		choices.Pairs = append(choices.Pairs, mapping.Choice{When: operand(form.Get(prefix+"when."+strconv.Itoa(k)), false), Then: operand(form.Get(prefix+"then."+strconv.Itoa(k)), false)})
	}
	if v := form.Get(prefix + "else"); v != "" {
		otherwise := operand(v, false)
		choices.Otherwise = &otherwise
	}
	h, _ := choices.Helper()
	return h
}

func helperInfo(name string) (mapping.HelperInfo, bool) {
	all := mapping.Helpers()
	i := slices.IndexFunc(all, func(h mapping.HelperInfo) bool { return h.Name == name })
	if i < 0 {
		return mapping.HelperInfo{}, false
	}
	return all[i], true
}

func choosesFromList(info mapping.HelperInfo) bool {
	return len(info.Args) > 0 && info.Args[0].Kind == mapping.TakesPairs
}

// argInfo describes an argument; of those that may be given again, the last stands for all that follow.
func argInfo(info mapping.HelperInfo, k int) mapping.ArgInfo {
	if len(info.Args) == 0 {
		return mapping.ArgInfo{}
	}
	return info.Args[min(k, len(info.Args)-1)]
}

var oneVariable = regexp.MustCompile(`^\s*\{\{\s*([\pL_][\pL\pN_.-]*)\s*\}\}\s*$`)

// operand reads what stands in a small field: a text, a number, or a variable in braces.
func operand(text string, number bool) mapping.Operand {
	if m := oneVariable.FindStringSubmatch(text); m != nil {
		return mapping.Var(m[1])
	}
	if number {
		return mapping.Number(strings.TrimSpace(text))
	}
	return mapping.Text(text)
}

func operandText(o mapping.Operand) string {
	if o.Kind == mapping.AVariable {
		return "{{ " + o.Value + " }}"
	}
	return o.Value
}

// changePieces does one thing to the parts of a value.
func changePieces(pieces []mapping.Piece, act string, form url.Values) []mapping.Piece {
	verb, of, _ := strings.Cut(act, " ")
	var at []int
	for word := range strings.FieldsSeq(of) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 {
			return pieces
		}
		at = append(at, n)
	}
	switch verb {
	case "text":
		return append(pieces, mapping.Piece{})
	case "value":
		head := mapping.Var("call_summary")
		return append(pieces, mapping.Piece{Value: &head})
	}
	if len(at) == 0 || at[0] >= len(pieces) {
		return pieces
	}
	n := at[0]
	switch {
	case verb == "drop":
		return slices.Delete(pieces, n, n+1)
	case verb == "up" && n > 0:
		pieces[n-1], pieces[n] = pieces[n], pieces[n-1]
	case verb == "down" && n+1 < len(pieces):
		pieces[n+1], pieces[n] = pieces[n], pieces[n+1]
	case verb == "help":
		if info, ok := helperInfo(form.Get(fmt.Sprintf("p.%d.add", n))); ok {
			pieces[n].Helpers = append(pieces[n].Helpers, info.Start())
		}
	case len(at) > 1 && at[1] < len(pieces[n].Helpers):
		changeHelper(&pieces[n], verb, at[1], at[2:])
	}
	return pieces
}

func changeHelper(p *mapping.Piece, verb string, m int, pair []int) {
	if verb == "unhelp" {
		p.Helpers = slices.Delete(p.Helpers, m, m+1)
		return
	}
	choices, ok := p.Helpers[m].Choices()
	switch {
	case !ok:
		return
	case verb == "pair" && len(choices.Pairs) < mapping.MaxChoices:
		choices.Pairs = append(choices.Pairs, mapping.Choice{When: mapping.Text(""), Then: mapping.Text("")})
	case verb == "unpair" && len(pair) > 0 && pair[0] < len(choices.Pairs):
		choices.Pairs = slices.Delete(choices.Pairs, pair[0], pair[0]+1)
	}
	p.Helpers[m], _ = choices.Helper()
}

// finished leaves out what is not filled in yet: empty texts, pairs without a beginning, choices without a pair.
func finished(pieces []mapping.Piece) []mapping.Piece {
	var out []mapping.Piece
	for _, p := range pieces {
		if p.Value == nil && p.Text == "" {
			continue
		}
		var helpers []mapping.Helper
		for _, h := range p.Helpers {
			if choices, ok := h.Choices(); ok {
				choices.Pairs = slices.DeleteFunc(slices.Clone(choices.Pairs), func(c mapping.Choice) bool { return c.When.Value == "" })
				if h, ok = choices.Helper(); !ok {
					continue
				}
			}
			helpers = append(helpers, h)
		}
		p.Helpers = helpers
		out = append(out, p)
	}
	return out
}

func (s *Server) rowPage(c echo.Context, st *mappingState, md mapping.Metadata, row rowState) error {
	m := memberOf(c)
	field := c.Param("field")
	form := md.Form(st.module)
	shown := mappingRow(st.module, mapping.Row{Field: field}, form)
	v := page.MapRowView{
		Frame: s.frame(c, shown.Label+" of "+st.module, "mapping"), Module: st.module, Field: field, Label: shown.Label, Type: shown.Type, Revision: st.revision,
		Rows: hiddenRows(st.rows(), form), Value: row.value, Broken: row.broken,
	}
	if len(shown.List) > 0 {
		v.List = []ui.Option{{Value: "", Label: "the value as it is"}}
		for _, value := range shown.List {
			v.List = append(v.List, ui.Option{Value: value, Label: value})
		}
	}
	for _, h := range mapping.Helpers() {
		v.Helpers = append(v.Helpers, ui.Option{Value: h.Name, Label: h.Label, Group: h.Group})
	}
	whole := *st
	if i := rowOf(st.rows(), field); i >= 0 {
		now := st.rows()[i]
		now.Value = row.value
		whole.put(now)
	} else {
		whole.put(mapping.Row{Field: field, Value: row.value})
	}
	err := s.inTenant(c, func(tx pgx.Tx) error {
		draft, err := config.ReadDraft(ctx(c), tx, m.Tenant.ID)
		if err != nil {
			return err
		}
		facts, chosen, calls, err := exampleOf(c, tx, m.Tenant, s.Now(), st.call)
		if err != nil {
			return err
		}
		v.Call = chosen
		if i := slices.IndexFunc(calls, func(o ui.Option) bool { return o.Value == chosen }); i >= 0 {
			v.Caller = calls[i].Label
		}
		about := map[string]mapping.Variable{}
		for _, x := range mapping.Variables(&facts, md) {
			about[x.Name] = x
			v.Values = append(v.Values, ui.Option{Value: x.Name, Label: x.Name + " — " + clipped(x.About, 80), Group: x.Group})
		}
		v.Pieces = pieceViews(row.pieces, about)
		for _, f := range mapping.PreviewOf(whole.set, st.module, routing.Decide(draft.Rules, facts), facts, md).Fields {
			if f.Field == field {
				v.Shown = exampleField(f)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range v.Pieces {
		if p.Kind == "value" && !slices.ContainsFunc(v.Values, func(o ui.Option) bool { return o.Value == p.Value }) {
			v.Values = append([]ui.Option{{Value: p.Value, Label: p.Value}}, v.Values...) // such as an answer that this call has not
		}
	}
	for _, p := range mapping.Check(whole.set, md) {
		if p.Module == st.module && p.Field == field && p.Blocking {
			v.Problem = p.Sentence
		}
	}
	return s.page(c, http.StatusOK, page.MapRow(v))
}

func pieceViews(pieces []mapping.Piece, about map[string]mapping.Variable) []page.PieceView {
	var out []page.PieceView
	for n, p := range pieces {
		view := page.PieceView{N: n, Kind: "text", Text: p.Text, Last: n == len(pieces)-1}
		if p.Value != nil {
			view.Kind, view.Text = "const", p.Value.Value
			if p.Value.Kind == mapping.AVariable {
				x := about[p.Value.Value]
				view.Kind, view.Value, view.About = "value", p.Value.Value, capitalised(x.About)
				if x.Example != "" {
					view.About += ". In this call: " + x.Example
				}
			}
		}
		for m, h := range p.Helpers {
			view.Helpers = append(view.Helpers, helperView(m, h))
		}
		out = append(out, view)
	}
	return out
}

func capitalised(text string) string {
	r := []rune(text)
	if len(r) == 0 {
		return ""
	}
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

func helperView(m int, h mapping.Helper) page.HelperView {
	info, _ := helperInfo(h.Name)
	out := page.HelperView{N: m, Name: h.Name, Label: h.Label(), About: info.About}
	if choices, ok := h.Choices(); ok {
		out.Choices = true
		for _, c := range choices.Pairs {
			out.Pairs = append(out.Pairs, page.PairView{When: operandText(c.When), Then: operandText(c.Then)})
		}
		if choices.Otherwise != nil {
			out.Else = operandText(*choices.Otherwise)
		}
		return out
	}
	for k := range max(len(h.Args), len(info.Args)) {
		arg := argInfo(info, k)
		view := page.ArgView{Label: arg.Label, Number: arg.Kind == mapping.TakesNumber}
		if k < len(h.Args) {
			view.Value = operandText(h.Args[k])
		}
		if len(arg.Choices) > 0 && arg.Optional {
			view.Options = append(view.Options, ui.Option{Value: "", Label: "as usual"})
		}
		for _, choice := range arg.Choices {
			view.Options = append(view.Options, ui.Option{Value: choice, Label: choice})
		}
		out.Args = append(out.Args, view)
	}
	return out
}
