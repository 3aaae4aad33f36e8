package v1

// paginationJSON says which part of a list a page is.
type paginationJSON struct {
	PageNumber  int `json:"pageNumber" doc:"The page, from 1."`
	RowsPerPage int `json:"rowsPerPage" doc:"The most rows that a page has."`
	TotalRows   int `json:"totalRows" doc:"Rows on all pages."`
	TotalPages  int `json:"totalPages"`
}

func paginate(page, rows, total int) paginationJSON {
	return paginationJSON{PageNumber: page, RowsPerPage: rows, TotalRows: total, TotalPages: (total + rows - 1) / rows}
}
