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

// pageOf returns a page of a list that is there as a whole.
func pageOf[T any](list []T, page, rows int) []T {
	from := min((page-1)*rows, len(list))
	return list[from:min(from+rows, len(list))]
}
