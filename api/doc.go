// Package api holds the types of the JSON answers of /api/v1. The publisher writes
// them, and the command line reads them. Job documents and results have schemas of
// their own and are in package jobs.
//
// A client decodes an answer into its type:
//
//	resp, err := http.Get("http://127.0.0.1:8420/api/v1/jobs?state=failed")
//	if err != nil {
//		return err
//	}
//	defer resp.Body.Close()
//	var page api.Page
//	err = json.NewDecoder(resp.Body).Decode(&page)
package api
