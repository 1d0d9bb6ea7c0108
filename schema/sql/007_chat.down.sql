DROP TABLE {{schema}}.chat_messages;
