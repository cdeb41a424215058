package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	maxFileName = 250
	maxLink     = 3000
	contentKey  = "$content" // the file itself, base64; no field, so that no record shows it
	linkKey     = "$link_url"
)

func (q *request) attachmentsOperation(prefix string, m *module, id, attachment string) (operation, *problem) {
	of := func(word, right string, write bool, run func(q *request) answer) operation {
		return operation{scopes: [][]string{{"ZohoCRM.modules.attachments." + word}}, right: right, module: m.API, write: write, run: run}
	}
	if attachment == "" {
		return q.verbs(prefix+"/{module}/{id}/Attachments", map[string]operation{
			"GET":  of("READ", "View", false, func(q *request) answer { return q.attachments(m, id) }),
			"POST": of("CREATE", "Edit", true, func(q *request) answer { return q.attach(m, id) }),
		})
	}
	return q.verbs(prefix+"/{module}/{id}/Attachments/{attachment}", map[string]operation{
		"GET":    of("READ", "View", false, func(q *request) answer { return q.download(m, id, attachment) }),
		"DELETE": of("DELETE", "Edit", true, func(q *request) answer { return q.detach(m, id, attachment) }),
	})
}

// attached are the attachments of a record, newest first.
func (o *org) attached(id string) []*record {
	var out []*record
	for _, e := range unseen(o.tables["Attachments"].parent[id]) {
		if e.now != nil && e.now.ref("Parent_Id").ID == id {
			out = append(out, e.now)
		}
	}
	slices.Reverse(out)
	return out
}

func (q *request) attachments(m *module, id string) answer {
	o := q.org
	if o.find(m.API, id) == nil {
		return refuse(400, "INVALID_DATA", "the id given seems to be invalid", map[string]any{"resource_path_index": 1}).answer()
	}
	page, per, bad := q.paging()
	if bad != nil {
		return bad.answer()
	}
	all := o.attached(id)
	from, to := min(len(all), (page-1)*per), min(len(all), page*per)
	list := []any{}
	for _, r := range all[from:to] {
		people := func(api string) any {
			u := o.user(r.ref(api).ID)
			return map[string]any{"id": u.ID, "name": u.name(), "email": u.Email}
		}
		parent, _ := o.nameOf(r.ref("Parent_Id"))
		kind, link := "Attachment", any(nil)
		if r.text(linkKey) != "" {
			kind, link = "Link URL", r.text(linkKey)
		}
		list = append(list, map[string]any{
			"id": r.ID, "File_Name": r.text("File_Name"), "Size": r.size(), "Created_Time": o.clock(r.Created), "Modified_Time": o.clock(r.Modified),
			"Created_By": people("Created_By"), "Modified_By": people("Modified_By"), "Owner": people("Owner"), "Parent_Id": namedID{parent, id},
			"$se_module": m.API, "$type": kind, "$link_url": link, "$editable": true, "$state": "save", "$file_id": nil, "$sharing_permission": "full_access",
		})
	}
	if len(list) == 0 {
		return noContent()
	}
	return jsonAnswer(http.StatusOK, map[string]any{"data": list, "info": map[string]any{
		"per_page": per, "count": len(list), "page": page, "more_records": to < len(all), "next_page_token": nil, "previous_page_token": nil, "page_token_expiry": nil,
	}})
}

// size is how long a file is, as Zoho writes it: in digits, as a text.
func (r *record) size() string {
	n, _ := r.Values["Size"].(json.Number)
	return n.String()
}

// upload is what a POST brings: a file, or the address of one (of which no bytes are kept, mem).
type upload struct {
	name, link string
	content    []byte
}

// attach is POST /{module}/{id}/Attachments: multipart with `file`, or `attachmentUrl` and `title` as form or query.
func (q *request) attach(m *module, id string) answer {
	o := q.org
	if o.find(m.API, id) == nil {
		return refuse(400, "INVALID_DATA", "the related id given seems to be invalid", map[string]any{"resource_path_index": 1}).answer()
	}
	most := maxBody
	if n := o.Settings.AttachmentBytes; n > 0 {
		most = n
	}
	up, bad := q.readUpload(most)
	if bad != nil {
		return bad.answer()
	}
	values := map[string]any{
		"File_Name": up.name, "Size": json.Number(strconv.Itoa(len(up.content))), "Parent_Id": ref{m.API, id}, "$se_module": m.API,
	}
	if up.link != "" {
		values[linkKey] = up.link
	} else {
		values[contentKey] = base64.StdEncoding.EncodeToString(up.content)
	}
	inner := moduleByName("Attachments")
	r := q.s.commit(&draft{q: q, sc: o.schema(inner.API), in: map[string]any{}, values: values, changed: map[string]bool{}}, o, inner)
	out := q.success(r, "attachment uploaded successfully")
	delete(out.Details, "$approval_state")
	return q.answerAll([]result{out}, http.StatusOK)
}

func (q *request) readUpload(most int) (up upload, bad *problem) {
	missing := refuse(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", map[string]any{"param_name": "file"})
	form := q.query
	media, params, _ := mime.ParseMediaType(q.http.Header.Get("Content-Type"))
	switch media {
	case "multipart/form-data":
		form = url.Values{}
		for r := multipart.NewReader(bytes.NewReader(q.body), params["boundary"]); ; {
			part, err := r.NextPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return up, refuse(400, "INVALID_DATA", "invalid data provided", nil)
			}
			b, err := io.ReadAll(part)
			if err != nil {
				return up, refuse(400, "INVALID_DATA", "invalid data provided", nil)
			}
			if part.FormName() == "file" {
				up.name, up.content = path.Base(part.FileName()), b
				continue
			}
			form.Add(part.FormName(), string(b))
		}
	case "application/x-www-form-urlencoded":
		form, _ = url.ParseQuery(string(q.body))
	}
	up.link = form.Get("attachmentUrl")
	switch {
	case up.name == "" && up.link == "":
		return up, missing
	case up.link != "":
		u, err := url.Parse(up.link)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || len(up.link) > maxLink {
			return up, refuse(400, "INVALID_DATA", "the given attachment URL is incorrect", map[string]any{"param_name": "attachmentUrl"})
		}
		if up.name = form.Get("title"); up.name == "" {
			up.name = path.Base(u.Path)
		}
	case len(up.content) > most:
		return up, refuse(http.StatusRequestEntityTooLarge, "BODY_SIZE_REACHED", "The request body limit reached", nil)
	}
	if utf8.RuneCountInString(up.name) > maxFileName {
		return up, refuse(400, "INVALID_DATA", "invalid data provided", nil)
	}
	return up, nil
}

// attachment is one of a record's attachments.
func (o *org) attachment(m *module, id, attachment string) *record {
	r := o.find("Attachments", attachment)
	if r == nil || r.ref("Parent_Id") != (ref{m.API, id}) {
		return nil
	}
	return r
}

func (q *request) download(m *module, id, attachment string) answer {
	r := q.org.attachment(m, id, attachment)
	if r == nil {
		return refuse(400, "INVALID_DATA", "the related id given seems to be invalid", map[string]any{"resource_path_index": 3}).answer()
	}
	if r.text(linkKey) != "" {
		return refuse(400, "DOWNLOAD_NOT_ALLOWED", "As it is a linked attachment, you can not download it", nil).answer()
	}
	content, err := base64.StdEncoding.DecodeString(r.text(contentKey))
	if err != nil {
		panic(fmt.Sprintf("sandbox: an attachment that is no base64: %v", err)) // only attach writes it
	}
	h := http.Header{"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": r.text("File_Name")})}, "Last-Modified": {r.Modified.UTC().Format(time.RFC1123)}}
	return answer{status: http.StatusOK, contentType: "application/octet-stream", header: h, body: content}
}

func (q *request) detach(m *module, id, attachment string) answer {
	if q.org.attachment(m, id, attachment) == nil {
		return refuse(400, "INVALID_DATA", "the related id given seems to be invalid", map[string]any{"resource_path_index": 3}).answer()
	}
	q.s.remove(q.org, attachment, q)
	return q.answerAll([]result{{Code: "SUCCESS", Details: map[string]any{"id": attachment}, Message: "record deleted", Status: "success"}}, http.StatusOK)
}
