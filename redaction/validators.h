// The second look at what a pattern found: is it really one?
#pragma once

#include <cstddef>
#include <string_view>

namespace runtail {

// Judges text[begin, end); may look at the bytes around it.
using Validator = bool (*)(std::string_view text, std::size_t begin, std::size_t end);

// By the name rules use; nullptr for a name not listed here:
//   none         everything
//   card, ssn, iban, npi, dea, nhs, phone, date, ip   see redaction/id_numbers.h
//   card_in_text as card, and no piece of a path; 17 digits and more only in groups or beside a word for cards
//   card_in_groups  as card, in groups that people write
//   jwt          first segment decodes to a JSON object with "alg", or the second begins like a JSON object too
//   opaque       a token rather than a word: digits or mixed case
//   token        opaque and 12 bytes or longer
//   vendor_token a token, no UUID, digest of a commit, path or time
//   basic        Base64 of text with a ':' in it (user:password)
//   value        not a placeholder: null, none, true, false, missing, asterisks, $NAME
//   assignments  holds a '=' (a cookie)
//   email        not the user@host of a URL or of a git remote
//   url_password a token that does not begin like a port
//   has_digit    holds a digit
//   postcode     three digits and more, or digits and letters
//   coordinate   no count: in a text it has decimals
//   no_path      not a path, a URL or the name of a file
//   ip_in_text   as ip, and no version before it says so, nor that it names a file
//   full_name    words with capitals, none of them a thing in a pipeline (Table, Account)
//   row          a row's values: letters that are no names of values, or many digits
//   parameters   as row, or a number of four digits and more that no name stands before
//   quoted       holds a quote
//   subject      at least three digits and no date
//   date_alone   a date that no time of day follows
//   serial       at least four digits, no date, no UUID
//   mac          six pairs and no more
//   age          a number above 89
//   aws_secret   mixed letters and digits that are no hexadecimal digest
//   postal       an address of a place, not of a machine
Validator find_validator(std::string_view name);

// As validator `value`.
bool is_value(std::string_view text, std::size_t begin, std::size_t end);
// As validator `opaque`.
bool is_opaque(std::string_view text);

}  // namespace runtail
